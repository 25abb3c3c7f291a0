"use strict";

/* Reads openapi.json and shows every operation: parameters, body, answers, a curl line, and a form to try it. */

const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

let description = null;

function resolve(schema) {
  if (!schema || !schema.$ref) return schema || {};
  return description.components.schemas[schema.$ref.split("/").pop()] || {};
}

/* The alternatives of a schema; an empty one says nothing and is left out. */
const parts = (schema) => (schema.oneOf || [schema]).filter((part) => Object.keys(part).length);

function typeName(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.oneOf) return parts(schema).map(typeName).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `list of ${typeName(schema.items || {})}`;
  const kind = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type || "any";
  return schema.format ? `${kind} (${schema.format})` : kind;
}

function limits(schema) {
  const names = {
    minLength: "min. length", maxLength: "max. length", minimum: "min.", maximum: "max.",
    minItems: "min. entries", maxItems: "max. entries", pattern: "pattern", default: "default",
  };
  return Object.entries(names)
    .filter(([key]) => schema[key] !== undefined)
    .map(([key, label]) => `${label} ${JSON.stringify(schema[key])}`)
    .join(", ");
}

/* Text with the `code` in it set as code. */
function prose(text) {
  return (text || "").split(/`{1,2}([^`]+)`{1,2}/).map((part, place) => (place % 2 ? make("code", {}, part) : part));
}

function limitsOf(schema) {
  const found = parts(schema).map((part) => {
    const values = part.$ref ? resolve(part).enum : null;
    return values ? `one of ${values.map((value) => JSON.stringify(value)).join(", ")}` : limits(part);
  });
  return [...new Set([schema.oneOf ? limits(schema) : "", ...found])].filter(Boolean).join(", ");
}

function row(name, schema, required, text) {
  const mark = required ? make("span", { class: "required", title: "required" }, " *") : null;
  return make("tr", {},
    make("td", {}, make("code", {}, name), mark),
    make("td", {}, make("code", {}, typeName(schema))),
    make("td", {}, ...prose(text || schema.description), " ", make("span", { class: "muted" }, limitsOf(schema))));
}

function fieldsTable(schema, seen = new Set()) {
  const found = resolve(schema);
  const properties = Object.entries(found.properties || {});
  if (!properties.length || seen.has(found)) return null;
  seen.add(found);
  const table = make("table", {});
  for (const [name, part] of properties) {
    table.append(row(name, part, (found.required || []).includes(name)));
    const inner = parts(part).map((option) => (option.type === "array" ? option.items || {} : option))
      .find((option) => option.$ref && resolve(option).properties);
    const nested = inner ? fieldsTable(inner, seen) : null;
    if (nested) table.append(make("tr", { class: "nested" }, make("td", { colspan: 3 }, nested)));
  }
  return table;
}

function exampleOf(media) {
  const named = Object.values(media.examples || {})[0];
  if (named) return named.value;
  return (resolve(media.schema).examples || [])[0];
}

const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

function bodyMedia(operation) {
  const entry = Object.entries((operation.requestBody || {}).content || {})[0];
  return entry ? { type: entry[0], ...entry[1] } : null;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curlLine(method, path, operation) {
  const words = [`curl -X ${method.toUpperCase()} ${quoted(location.origin + path)}`];
  if (operation.security) words.push("-H 'Authorization: Bearer TOKEN'");
  const media = bodyMedia(operation);
  if (media && media.type === "application/json") {
    words.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(exampleOf(media) || {}))}`);
  } else if (media) {
    words.push("-F file=@contacts.csv");
  }
  return words.join(" \\\n  ");
}

function answers(operation) {
  return Object.entries(operation.responses).map(([status, answer]) => {
    const content = Object.values(answer.content || {})[0];
    const example = content ? exampleOf(content) : undefined;
    return make("details", {},
      make("summary", {}, make("strong", {}, status), ` ${answer.description || ""}`),
      make("div", {}, content ? fieldsTable(content.schema || {}) : null,
        example === undefined ? null : make("pre", {}, pretty(example))));
  });
}

function tryForm(method, path, operation) {
  const inputs = (operation.parameters || []).map((parameter) => {
    const input = make("input", { placeholder: typeName(parameter.schema || {}) });
    return { parameter, input, label: make("label", {}, `${parameter.name} `, input) };
  });
  const media = bodyMedia(operation);
  const isJson = media && media.type === "application/json";
  const body = isJson ? make("textarea", { "aria-label": "body" }) : null;
  if (body) body.value = pretty(exampleOf(media) || {});
  const fields = Object.keys(media && !isJson ? resolve(media.schema).properties || {} : {}).map((name) => {
    const input = make("input", { type: name === "file" ? "file" : "text" });
    return { name, input, label: make("label", {}, `${name} `, input) };
  });
  const output = make("pre", { hidden: "" });
  const send = async () => {
    let target = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const { parameter, input } of inputs) {
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value && parameter.in === "header") headers[parameter.name] = input.value;
      else if (input.value) query.append(parameter.name, input.value);
    }
    const form = fields.length ? new FormData() : undefined;
    for (const { name, input } of fields) {
      if (input.value) form.append(name, input.files ? input.files[0] : input.value);
    }
    if (byId("token").value) headers.Authorization = `Bearer ${byId("token").value}`;
    if (body) headers["Content-Type"] = "application/json";
    output.hidden = false;
    output.textContent = "…";
    try {
      const answer = await fetch(query.size ? `${target}?${query}` : target,
        { method: method.toUpperCase(), headers, body: body ? body.value : form });
      const text = await answer.text();
      let shown = text;
      try { shown = pretty(JSON.parse(text)); } catch { /* no JSON: shown as it is */ }
      output.textContent = `${answer.status} ${answer.statusText}\n\n${shown}`;
    } catch (error) {
      output.textContent = `No answer: ${error.message}`;
    }
  };
  return make("div", { class: "try" }, make("h4", {}, "Try it"), ...[...inputs, ...fields].map((entry) => entry.label), body,
    make("p", {}, make("button", { type: "button", onclick: send }, "Send")), output);
}

function example(media) {
  const value = media ? exampleOf(media) : undefined;
  return value === undefined || media.type !== "application/json" ? []
    : [make("h4", {}, "Example"), make("pre", { class: "example" }, pretty(value))];
}

function showOperation(path, method, operation) {
  const media = bodyMedia(operation);
  const parameters = operation.parameters || [];
  const table = make("table", {}, ...parameters.map((parameter) =>
    row(`${parameter.name} (${parameter.in})`, parameter.schema || {}, parameter.required, parameter.description)));
  const content = make("div", {});
  const details = make("details", { id: operation.operationId },
    make("summary", {}, make("span", { class: `method ${method}` }, method), " ", make("code", {}, path), " — ",
      operation.summary || ""),
    content);
  details.addEventListener("toggle", () => {
    if (!details.open || content.childElementCount) return;
    content.append(
      make("p", {}, ...prose(operation.description)),
      make("p", { class: "muted" }, operation.security ? "Needs a bearer token. " : "Open to everybody. ",
        make("code", {}, operation.operationId)),
      parameters.length ? make("h4", {}, "Parameters") : "", parameters.length ? table : "",
      media ? make("h4", {}, `Body, ${media.type}`) : "", media ? fieldsTable(media.schema || {}) || "" : "",
      ...example(media),
      make("h4", {}, "Answers"), ...answers(operation),
      make("h4", {}, "From a terminal"), make("pre", {}, curlLine(method, path, operation)),
      tryForm(method, path, operation));
  });
  return details;
}

function show(filter = "") {
  const wanted = filter.trim().toLowerCase();
  const groups = new Map((description.tags || []).map((tag) => [tag.name, { text: tag.description, entries: [] }]));
  for (const [path, item] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const text = `${method} ${path} ${operation.operationId} ${operation.summary} ${operation.description}`;
      if (wanted && !text.toLowerCase().includes(wanted)) continue;
      const tag = (operation.tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, { text: "", entries: [] });
      groups.get(tag).entries.push([path, method, operation]);
    }
  }
  const contents = byId("contents");
  const main = byId("operations");
  contents.replaceChildren();
  main.replaceChildren();
  for (const [name, group] of groups) {
    if (!group.entries.length) continue;
    contents.append(make("strong", {}, name));
    main.append(make("h2", {}, name), make("p", { class: "muted" }, group.text || ""));
    for (const [path, method, operation] of group.entries) {
      contents.append(make("a", { href: `#${operation.operationId}`, title: path }, operation.summary || path));
      main.append(showOperation(path, method, operation));
    }
  }
}

const narrow = matchMedia("(max-width: 50rem)");

/* Beside the operations the list stands open; above them, on a narrow screen, it is folded. */
function fold() {
  byId("contents-fold").open = !narrow.matches;
}

function openTarget() {
  const target = location.hash.length > 1 ? byId(decodeURIComponent(location.hash.slice(1))) : null;
  if (target && target.tagName === "DETAILS") {
    target.open = true;
    if (narrow.matches) byId("contents-fold").open = false;
    target.scrollIntoView();
  }
}

async function start() {
  try {
    const answer = await fetch("/api/schema/openapi.json");
    description = await answer.json();
  } catch (error) {
    byId("state").textContent = `The description cannot be loaded: ${error.message}`;
    return;
  }
  byId("title").textContent = `${description.info.title} API ${description.info.version}`;
  byId("find").addEventListener("input", (event) => show(event.target.value));
  window.addEventListener("hashchange", openTarget);
  narrow.addEventListener("change", fold);
  fold();
  show();
  openTarget();
}

start();
