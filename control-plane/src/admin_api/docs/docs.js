// Renders /v1/openapi.json. No library, no inline script or style: the content security policy allows neither.
"use strict";

/** Makes an element; strings become text, never markup. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** Text in which `words` in backticks are code. */
function prose(text) {
  return (text ?? "").split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

function resolve(spec, schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? { name, ...spec.components.schemas[name] } : (schema ?? {});
}

function typeName(spec, schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  const options = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (options) return options.map((option) => typeName(spec, option)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  const type = [schema.type ?? "anything"].flat().filter((t) => t !== "null").join(" or ");
  if (type === "array") return `list of ${typeName(spec, schema.items ?? {})}`;
  return schema.format ? `${type} (${schema.format})` : type;
}

/** Where a schema has fields of its own: those of its items and of its first branch that is an object, too. */
function fieldsOf(spec, schema, depth = 0) {
  const known = resolve(spec, schema);
  if (known.properties) return known;
  if (depth > 4) return undefined;
  const inner = [known.items, ...(known.anyOf ?? known.oneOf ?? known.allOf ?? [])].filter(Boolean);
  return inner.map((option) => fieldsOf(spec, option, depth + 1)).find(Boolean);
}

function fields(spec, schema, seen = []) {
  const known = fieldsOf(spec, schema);
  if (!known?.properties) return make("p", { class: "quiet" }, typeName(spec, schema));
  const list = make("dl", { class: "fields" });
  for (const [name, field] of Object.entries(known.properties)) {
    const must = (known.required ?? []).includes(name);
    const note = `${typeName(spec, field)}${must ? ", always" : ""}${field.readOnly ? ", passed over" : ""}`;
    list.append(make("dt", {}, make("code", {}, name), " ", make("span", { class: "quiet" }, note)));
    const about = make("dd", {}, ...prose(field.description ?? resolve(spec, field).description));
    const inner = fieldsOf(spec, field);
    if (inner && inner !== known && !seen.includes(inner.name ?? inner)) {
      const more = make("details", {}, make("summary", {}, "its fields"));
      more.append(fields(spec, field, [...seen, known.name ?? known, inner.name ?? inner]));
      about.append(more);
    }
    list.append(about);
  }
  return list;
}

function parameters(spec, given) {
  const list = make("dl", {});
  for (const parameter of given) {
    const note = `${parameter.in}, ${typeName(spec, parameter.schema)}`;
    list.append(make("dt", {}, make("code", {}, parameter.name), " ", make("span", { class: "quiet" }, note)));
    list.append(make("dd", {}, ...prose(parameter.description)));
  }
  return list;
}

function curl(method, path, operation) {
  const open = operation.security?.length === 0;
  const parts = ["curl"];
  if (!open) parts.push('-H "Authorization: Bearer $TOKEN"');
  if (method !== "get") parts.push(`-X ${method.toUpperCase()}`);
  if (operation.requestBody) parts.push(open ? "-H 'Content-Type: application/json' -d '{...}'" : "-d '{...}'");
  parts.push(`${location.origin}${path}`);
  return parts.join(" ");
}

function article(spec, method, path, operation) {
  const box = make("article", { id: operation.operationId });
  const heading = make("h3", { class: "path" }, make("span", { class: "method" }, method.toUpperCase()), path);
  box.append(heading, make("p", { class: "summary" }, ...prose(operation.summary)));
  box.append(make("pre", {}, curl(method, path, operation)));
  if (operation.parameters) box.append(make("h4", {}, "Parameters"), parameters(spec, operation.parameters));
  const body = Object.values(operation.requestBody?.content ?? {})[0]?.schema;
  if (body) box.append(make("h4", {}, "Body"), ...prose(resolve(spec, body).description), fields(spec, body));
  box.append(make("h4", {}, "Answers"));
  const answers = make("dl", {});
  for (const [status, answer] of Object.entries(operation.responses)) {
    const [type, content] = Object.entries(answer.content ?? {})[0] ?? [];
    const about = make("dd", {}, ...prose(answer.description));
    if (content?.schema && type === "application/json") {
      about.append(make("details", {}, make("summary", {}, typeName(spec, content.schema)), fields(spec, content.schema)));
    }
    answers.append(make("dt", {}, make("code", {}, status)), about);
  }
  box.append(answers);
  return box;
}

function render(spec) {
  const [index, main] = [document.getElementById("index"), document.getElementById("operations")];
  main.replaceChildren(make("p", {}, ...prose(spec.info.description)));
  for (const { name } of spec.tags) {
    const links = make("div", {}, make("h2", {}, name));
    const section = make("section", { "aria-label": name }, make("h2", {}, name));
    for (const [path, methods] of Object.entries(spec.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (!operation.tags?.includes(name)) continue;
        links.append(make("a", { href: `#${operation.operationId}` }, operation.summary));
        section.append(article(spec, method, path, operation));
      }
    }
    index.append(links);
    main.append(section);
  }
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

function find(text) {
  const wanted = text.trim().toLowerCase();
  for (const box of document.querySelectorAll("article")) {
    const hidden = wanted !== "" && !box.textContent.toLowerCase().includes(wanted);
    box.hidden = hidden;
    const link = document.querySelector(`nav a[href="#${box.id}"]`);
    if (link) link.hidden = hidden;
  }
  for (const group of document.querySelectorAll("section, #index > div")) {
    group.hidden = !group.querySelector("article:not([hidden]), a:not([hidden])");
  }
}

document.getElementById("find").addEventListener("input", (event) => find(event.target.value));
fetch("/v1/openapi.json")
  .then((answer) => answer.json())
  .then(render)
  .catch((error) => document.getElementById("operations").replaceChildren(`The description can't be read: ${error.message}`));
