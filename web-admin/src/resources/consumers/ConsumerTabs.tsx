import { Link } from "@tanstack/react-router";

/** Consumers and their groups are two lists of one page. */
export function ConsumerTabs() {
  return (
    <nav className="tabs" aria-label="Consumers and groups">
      <Link to="/consumers">Consumers</Link>
      <Link to="/consumer-groups">Groups</Link>
    </nav>
  );
}
