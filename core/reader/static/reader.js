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

function typeName(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.oneOf) return schema.oneOf.map(typeName).join(" | ");
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

function row(name, schema, required, text) {
  const mark = required ? make("span", { class: "required", title: "required" }, " *") : null;
  return make("tr", {},
    make("td", {}, make("code", {}, name), mark),
    make("td", {}, make("code", {}, typeName(schema))),
    make("td", {}, text || schema.description || "", " ", make("span", { class: "muted" }, limits(schema))));
}

function fieldsTable(schema, seen = new Set()) {
  const found = resolve(schema);
  const properties = Object.entries(found.properties || {});
  if (!properties.length || seen.has(found)) return null;
  seen.add(found);
  const table = make("table", {});
  for (const [name, part] of properties) {
    table.append(row(name, part, (found.required || []).includes(name)));
    const inner = part.type === "array" ? part.items : part;
    const nested = inner && inner.$ref && resolve(inner).properties ? fieldsTable(inner, seen) : null;
    if (nested) table.append(make("tr", {}, make("td", {}), make("td", { colspan: 2 }, nested)));
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

function curlLine(method, path, operation) {
  const parts = [`curl -X ${method.toUpperCase()} '${location.origin}${path}'`];
  if (operation.security) parts.push("-H 'Authorization: Bearer TOKEN'");
  const media = bodyMedia(operation);
  if (media && media.type === "application/json") {
    parts.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(exampleOf(media) || {})}'`);
  }
  return parts.join(" \\\n  ");
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
  const body = media && media.type === "application/json"
    ? make("textarea", { "aria-label": "body" }) : null;
  if (body) body.value = pretty(exampleOf(media) || {});
  const output = make("pre", { hidden: "" });
  const send = async () => {
    let target = path;
    const query = new URLSearchParams();
    for (const { parameter, input } of inputs) {
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.append(parameter.name, input.value);
    }
    const headers = {};
    if (byId("token").value) headers.Authorization = `Bearer ${byId("token").value}`;
    if (body) headers["Content-Type"] = "application/json";
    output.hidden = false;
    output.textContent = "…";
    try {
      const answer = await fetch(query.size ? `${target}?${query}` : target,
        { method: method.toUpperCase(), headers, body: body ? body.value : undefined });
      const text = await answer.text();
      let shown = text;
      try { shown = pretty(JSON.parse(text)); } catch { /* no JSON: shown as it is */ }
      output.textContent = `${answer.status} ${answer.statusText}\n\n${shown}`;
    } catch (error) {
      output.textContent = `No answer: ${error.message}`;
    }
  };
  return make("div", {}, make("h4", {}, "Try it"), ...inputs.map((entry) => entry.label), body,
    make("p", {}, make("button", { type: "button", onclick: send }, "Send")), output);
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
      make("p", {}, operation.description || ""),
      make("p", { class: "muted" }, operation.security ? "Needs a bearer token. " : "Open to everybody. ",
        make("code", {}, operation.operationId)),
      parameters.length ? make("h4", {}, "Parameters") : "", parameters.length ? table : "",
      media ? make("h4", {}, `Body, ${media.type}`) : "", media ? fieldsTable(media.schema || {}) || "" : "",
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

function openTarget() {
  const target = location.hash.length > 1 ? byId(decodeURIComponent(location.hash.slice(1))) : null;
  if (target && target.tagName === "DETAILS") {
    target.open = true;
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
  show();
  openTarget();
}

start();
