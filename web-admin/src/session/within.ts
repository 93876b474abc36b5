/** Where to go after signing in: a page of this admin, whatever the address asked for. */
export function within(to: string | undefined): string {
  if (!to?.startsWith("/") || to.startsWith("//") || to.startsWith("/\\") || to.startsWith("/sign-in"))
    return "/";
  return to;
}
