import { Skeleton, VisuallyHidden } from "@mantine/core";
import type { ReactNode } from "react";

export interface Column<T> {
  title: string;
  cell: (row: T) => ReactNode;
  /** Left out where the screen is narrow. */
  wide?: boolean;
  end?: boolean;
  /** The title is told to those who hear the table, and not shown. */
  untitled?: boolean;
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows?: T[];
  rowKey: (row: T) => string;
}

/** A table that breathes; while its rows are on their way, it keeps their place. */
export function DataTable<T>({ label, columns, rows, rowKey }: Props<T>) {
  const named = (column: Column<T>) => [column.wide && "wide", column.end && "end"].filter(Boolean).join(" ");
  return (
    <div style={{ overflowX: "auto", position: "relative" }}>
      <table className="table" aria-label={label} aria-busy={!rows}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.title} scope="col" className={`label ${named(column)}`}>
                {column.untitled ? <VisuallyHidden>{column.title}</VisuallyHidden> : column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows
            ? rows.map((row) => (
                <tr key={rowKey(row)}>
                  {columns.map((column) => (
                    <td key={column.title} className={named(column)}>
                      {column.cell(row)}
                    </td>
                  ))}
                </tr>
              ))
            : [70, 45, 60].map((width) => (
                <tr key={width}>
                  {columns.map((column) => (
                    <td key={column.title} className={named(column)}>
                      <Skeleton h={12} w={`${width}%`} />
                    </td>
                  ))}
                </tr>
              ))}
        </tbody>
      </table>
    </div>
  );
}
