export interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  url: string;
  /** The revision of the resource that the write is meant for. */
  ifMatch?: string;
  body?: unknown;
}

/** The same call for a shell. The token is always a variable: a real one must not end up in a history file. */
export function curl({ method, url, ifMatch, body }: Call): string {
  const parts = [method === "GET" ? `curl ${quoted(url)}` : `curl -X ${method} ${quoted(url)}`];
  parts.push('-H "Authorization: Bearer $TOKEN"');
  if (ifMatch) parts.push(`-H ${quoted(`If-Match: ${ifMatch}`)}`);
  if (body !== undefined) {
    parts.push("-H 'Content-Type: application/json'");
    parts.push(`-d ${quoted(JSON.stringify(body, null, 2))}`);
  }
  return parts.join(" \\\n  ");
}

/** One word of a POSIX shell, whatever is in it. */
export function quoted(text: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
