import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type Noun, pageMax, type Query } from "../api/noun.ts";
import type { Page, Resource } from "../api/types.ts";
import { Panel } from "../ui/Panel.tsx";
import { ProblemAlert } from "../ui/ProblemAlert.tsx";
import { Nothing, Status } from "../ui/show.tsx";

interface Props<T extends Resource> {
  title: string;
  noun: Noun<T>;
  /** Which of the noun's resources; all, when `list` asks for none but them. */
  related?: (resource: T) => boolean;
  list?: Query<Page<T>>;
  /** What it means that there is none. */
  none: string;
  note?: (resource: T) => ReactNode;
  action?: ReactNode;
}

/** What else has to do with the resource on this page. */
export function RelatedPanel<T extends Resource>({
  title,
  noun,
  list: asked,
  related,
  none,
  note,
  action,
}: Props<T>) {
  const list = useQuery(asked ?? noun.list({}, pageMax));
  const found = related ? list.data?.data.filter(related) : list.data?.data;
  return (
    <Panel title={title} aside={action} flush={Boolean(found?.length)}>
      {list.error && <ProblemAlert error={list.error} again={() => list.refetch()} />}
      {found?.length === 0 && <Nothing>{none}</Nothing>}
      {found && found.length > 0 && (
        <table className="table" aria-label={title}>
          <tbody>
            {found.map((each) => (
              <tr key={each.id}>
                <td>
                  <Link
                    className="link wrap"
                    to={`${noun.page}/$ref` as never}
                    params={{ ref: each.name } as never}
                  >
                    {each.name}
                  </Link>
                  {each.description && <span className="under">{each.description}</span>}
                </td>
                {note && <td className="note">{note(each)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {list.data?.next && (
        <div style={{ padding: "8px 16px" }}>
          <Status tone="warn">looked through the first {pageMax} only</Status>
        </div>
      )}
    </Panel>
  );
}
