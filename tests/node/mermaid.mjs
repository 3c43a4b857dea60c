// Parses Mermaid text from standard input with the real package, which needs a DOM for it.
import { Window } from "happy-dom";
import { readFileSync } from "node:fs";

const window = new Window();
Object.assign(globalThis, { window, document: window.document });
const { default: mermaid } = await import("mermaid");
const source = readFileSync(0, "utf8");
await mermaid.parse(source);
const diagram = await mermaid.mermaidAPI.getDiagramFromText(source);
// Mermaid keeps "#65;" in a form of its own until it draws; happy-dom loses what is before <br>.
const plain = (text) => text.replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(code));
const { db } = diagram;
const data = {
  boxes: Object.fromEntries(db.getSubGraphs().map((box) => [plain(box.title), box.nodes])),
  texts: Object.fromEntries([...db.getVertices().values()].map((node) => [node.id, plain(node.text)])),
  applied: [...db.getVertices().values()].filter((node) => node.classes.length).map(({ id }) => id),
  arrows: db.getEdges().map(({ start, end, text }) => [start, plain(text), end]),
};
console.log(JSON.stringify(data));
process.exit(0);
