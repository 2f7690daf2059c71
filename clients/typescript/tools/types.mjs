// Print the types of the OpenAPI document, or write them: node tools/types.mjs ../openapi.json [src/types.ts]
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const [from, to] = process.argv.slice(2);
// "a" | "b" | (string & {}): the values that are known, and whatever comes later.
const text = ts.factory.createIntersectionTypeNode([
  ts.factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword),
  ts.factory.createTypeLiteralNode([]),
]);
const literal = (value) => ts.factory.createLiteralTypeNode(ts.factory.createStringLiteral(value));
const types = await openapiTS(JSON.parse(readFileSync(from, "utf8")), {
  defaultNonNullable: false, // a field with a default may be left out
  transform(schema) {
    const known = schema["x-extensible-enum"];
    return known && ts.factory.createUnionTypeNode([...known.map(literal), text]);
  },
});
const written = `// Written by \`make clients\`: do not edit.\n${astToString(types)}`;
if (to) writeFileSync(to, written);
else process.stdout.write(written);
