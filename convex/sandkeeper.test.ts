import { convexTest, type TestConvex } from "convex-test";
import { defineSchema, defineTable, makeFunctionReference } from "convex/server";
import { ConvexError, v } from "convex/values";
import { expect, test } from "vitest";

import table from "./cases.json";
import schema from "./schema";

type Fields = Record<string, unknown>;
type Doc = Fields & { _id?: string; row?: Fields | null };
type Tables = { sandboxes?: Doc[]; harnesses?: Doc[]; workspaces?: Doc[]; sandkeeperRevisions?: Doc[] };
type Table = keyof Tables;
type Case = {
  name: string;
  start: Tables;
  calls: { changes: Doc[]; results: Doc[] }[];
  end: Tables;
};
type App = TestConvex<typeof schema>;

const TABLES = ["sandboxes", "harnesses", "workspaces", "sandkeeperRevisions"] as const;
const defaults = table.defaults as unknown as Record<Table | "row" | "change", Doc>;
const cases = table.cases as unknown as Case[];
const modules = {
  "./_generated/api.js": async () => ({}),
  "./sandkeeper.ts": () => import("./sandkeeper"),
};
const apply = makeFunctionReference<"mutation", { changes: unknown[] }, Doc[]>("sandkeeper:apply");
const probe = makeFunctionReference<"query", Record<string, never>, { missing: string[] }>("sandkeeper:probe");
const list = makeFunctionReference<
  "query",
  { cursor: string | null; limit?: number },
  { rows: Doc[]; cursor: string | null }
>("sandkeeper:list");

test.each(cases)("$name", async ({ start, calls, end }) => {
  const app = convexTest(schema, modules);
  const ids = await seed(app, start);
  for (const { changes, results } of calls) {
    const sent = changes.map((change) => named(completed(change), ids));
    expect(await app.mutation(apply, { changes: sent })).toEqual(results);
  }
  expect(await stored(app, ids)).toEqual(expected(end));
});

test("refuses more than a hundred changes, and writes none of them", async () => {
  const app = convexTest(schema, modules);
  const changes = Array.from({ length: 101 }, (_, i) =>
    completed({ sandboxId: `s${i}`, daytonaSandboxId: `d${i}`, revision: 1, row: {} }),
  );
  const refusal = app.mutation(apply, { changes });
  await expect(refusal).rejects.toThrow(ConvexError);
  await expect(refusal).rejects.toThrow("too_many_changes");
  expect((await stored(app, new Map())).sandboxes).toEqual([]);
  expect(await app.mutation(apply, { changes: changes.slice(1) })).toHaveLength(100);
});

test("refuses a status that the app does not know", async () => {
  const app = convexTest(schema, modules);
  const change = completed({ revision: 1, row: { status: "gone" } });
  await expect(app.mutation(apply, { changes: [change] })).rejects.toThrow("Validator error");
});

test("lists every row page by page, with the revision where there is one", async () => {
  const app = convexTest(schema, modules);
  const foreign = { userId: "user_bob", daytonaSandboxId: "d9", status: "error", errorMessage: "disk" };
  await seed(app, { sandboxes: [foreign] });
  const changes = ["d1", "d2"].map((id, i) =>
    completed({ daytonaSandboxId: id, sandboxId: `s${i + 1}`, revision: 4, row: {} }),
  );
  await app.mutation(apply, { changes });

  const rows: Doc[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const page: { rows: Doc[]; cursor: string | null } = await app.query(list, { cursor, limit: 2 });
    rows.push(...page.rows);
    cursor = page.cursor;
    pages += 1;
  } while (cursor !== null);

  expect(pages).toBe(2);
  const told = { _id: expect.any(String), name: "box", ephemeral: false, createdAt: 1000 };
  const seen = { ...told, userId: "user_ada", status: "running", revision: 4 };
  expect(rows).toEqual([
    { ...told, ...foreign },
    { ...seen, daytonaSandboxId: "d1", sandboxId: "s1" },
    { ...seen, daytonaSandboxId: "d2", sandboxId: "s2" },
  ]);
});

test.each([0, 1001, 2.5, -1])("refuses a page of %s rows", async (limit) => {
  const app = convexTest(schema, modules);
  await expect(app.query(list, { cursor: null, limit })).rejects.toThrow("bad_limit");
  expect((await app.query(list, { cursor: null, limit: 1000 })).rows).toEqual([]);
});

test("finds nothing missing in a whole schema, and changes nothing", async () => {
  const app = convexTest(schema, modules);
  expect(await app.query(probe, {})).toEqual({ missing: [] });
  expect(await stored(app, new Map())).toEqual(expected({}));
});

test("names every table and index that the schema lacks", async () => {
  const { sandboxes, sandkeeperRevisions } = schema.tables;
  const lacking = defineSchema({
    sandboxes,
    sandkeeperRevisions,
    harnesses: defineTable({ userId: v.string() }),
  });
  const app = convexTest(lacking, modules);
  expect(await app.query(probe, {})).toEqual({ missing: ["harnesses.by_user", "workspaces.by_user"] });
});

test("removes a hundred sandboxes of one owner with fifty large harnesses within Convex's limits", async () => {
  const app = convexTest({ schema, modules, transactionLimits: true });
  const large = "x".repeat(4000);
  const numbers = Array.from({ length: 100 }, (_, i) => i);
  await seed(app, {
    sandboxes: numbers.map((i) => ({ _id: `$s${i}`, daytonaSandboxId: `d${i}` })),
    workspaces: numbers.slice(50).map((i) => ({ _id: `$w${i}`, name: large, sandboxId: `$s${i}` })),
    harnesses: numbers.slice(50).map((i) => ({ _id: `$h${i}`, name: large, sandboxId: `$s${i}` })),
  });
  const changes = numbers.map((i) =>
    completed({ daytonaSandboxId: `d${i}`, sandboxId: `s${i}`, revision: 1, row: null }),
  );

  const results = await app.mutation(apply, { changes });

  expect(new Set(results.map(({ outcome }) => outcome))).toEqual(new Set(["applied"]));
  const left = await stored(app, new Map());
  expect(left.sandboxes).toEqual([]);
  expect(left.harnesses?.filter((harness) => "sandboxId" in harness || harness["sandboxEnabled"])).toEqual([]);
  expect(left.workspaces?.filter((workspace) => "sandboxId" in workspace)).toEqual([]);
});

/** Insert the rows and return their ids by name; references are set when every row has its id. */
async function seed(app: App, tables: Tables): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  await app.run(async ({ db }) => {
    const inserted: [string, Doc][] = [];
    for (const [name, rows] of Object.entries(tables) as [Table, Doc[]][]) {
      for (const row of rows) {
        const fields = Object.entries({ ...defaults[name], ...row });
        const plain = fields.filter(([, value]) => !isName(value));
        const id = await db.insert(name as never, Object.fromEntries(plain) as never);
        ids.set(row._id as string, id);
        const references = fields.filter(([key, value]) => key !== "_id" && isName(value));
        inserted.push([id, Object.fromEntries(references)]);
      }
    }
    for (const [id, references] of inserted) {
      await db.patch(id as never, named(references, ids) as never);
    }
  });
  return ids;
}

/** Every table as the cases write it: names for ids, without Convex's clock, in order of creation. */
async function stored(app: App, ids: Map<string, string>): Promise<Tables> {
  return await app.run(async ({ db }) => {
    const names = new Map([...ids].map(([name, id]) => [id, name]));
    const tables: Tables = {};
    for (const name of TABLES) {
      const rows = (await db.query(name as never).collect()) as Doc[];
      const created = rows.filter((row) => !names.has(row._id as string));
      created.forEach((row, i) => names.set(row._id as string, `$new${i + 1}`));
      tables[name] = rows;
    }
    return Object.fromEntries(
      Object.entries(tables).map(([name, rows]) => [
        name,
        rows.map(({ _creationTime, ...row }) => named(row, names)),
      ]),
    );
  });
}

function expected(end: Tables): Tables {
  return Object.fromEntries(
    TABLES.map((name) => [name, (end[name] ?? []).map((row) => ({ ...defaults[name], ...row }))]),
  );
}

function completed(change: Doc): Doc {
  const row = change.row && typeof change.row === "object" ? { ...defaults.row, ...change.row } : change.row;
  return { ...defaults.change, ...change, ...(row === undefined ? {} : { row }) };
}

/** A copy with every string that the map knows replaced. */
function named(value: Doc, map: Map<string, string>): Doc {
  const replaced = Object.entries(value).map(([key, item]) => {
    if (typeof item === "string") return [key, map.get(item) ?? item];
    if (item !== null && typeof item === "object" && !Array.isArray(item)) return [key, named(item as Doc, map)];
    return [key, item];
  });
  return Object.fromEntries(replaced);
}

function isName(value: unknown): boolean {
  return typeof value === "string" && value.startsWith("$");
}
