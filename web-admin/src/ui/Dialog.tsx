import { Group, Modal } from "@mantine/core";
import type { ReactNode } from "react";

interface Props {
  title: string;
  onClose: () => void;
  /** Only its own buttons close it: what it shows is not shown again. */
  firm?: boolean;
  wide?: boolean;
  children: ReactNode;
}

export function Dialog({ title, onClose, firm, wide, children }: Props) {
  return (
    <Modal.Root
      opened
      centered
      onClose={onClose}
      size={wide ? "lg" : "md"}
      closeOnClickOutside={!firm}
      closeOnEscape={!firm}
      classNames={{ content: "dialog" }}
    >
      <Modal.Overlay backgroundOpacity={0.6} blur={2} />
      <Modal.Content radius="md">
        <Modal.Body p="lg">
          {/* Not Modal.Header: that one would be a second banner of the page. */}
          <Group justify="space-between" wrap="nowrap" mb="md">
            <Modal.Title className="wrap" fz="md" fw={620}>
              {title}
            </Modal.Title>
            {!firm && <Modal.CloseButton aria-label="Close" />}
          </Group>
          {children}
        </Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
