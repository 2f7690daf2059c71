/**
 * Sandkeeper's own functions for the Convex app that shows its sandboxes.
 *
 * Drop this file into the app's `convex/` folder and spread `sandkeeperTables` into its `defineSchema`
 * (see README.md). Every function is internal: only a deploy key reaches it.
 *
 * Revisions live in a table of their own, because a schema-checked `sandboxes` table takes no new field.
 */
import {
  defineTable,
  internalMutationGeneric,
  internalQueryGeneric,
  type GenericDatabaseReader,
  type GenericDatabaseWriter,
} from "convex/server";
import { ConvexError, v, type Infer } from "convex/values";

/** More changes in one call are refused with the ConvexError code `too_many_changes`. */
export const MAX_CHANGES = 100;
const PAGE = 200;
/** What `list` tells of a row, where the row has it. */
const SHOWN = [
  "_id",
  "daytonaSandboxId",
  "userId",
  "name",
  "status",
  "errorMessage",
  "harnessId",
  "ephemeral",
  "language",
  "lastAccessedAt",
  "createdAt",
];

export const sandkeeperTables = {
  /** The newest revision written for a Daytona sandbox; kept after removal, so that nothing revives it. */
  sandkeeperRevisions: defineTable({
    daytonaSandboxId: v.string(),
    sandboxId: v.string(),
    revision: v.number(),
    removed: v.boolean(),
  }).index("by_daytona_id", ["daytonaSandboxId"]),
};

const wantedRow = v.object({
  name: v.string(),
  status: v.union(
    v.literal("creating"),
    v.literal("starting"),
    v.literal("running"),
    v.literal("stopping"),
    v.literal("stopped"),
    v.literal("archived"),
    v.literal("error"),
  ),
  // Absent clears it; any other absent field leaves what the row has.
  errorMessage: v.optional(v.string()),
  ephemeral: v.boolean(),
  resources: v.object({ cpu: v.number(), memoryGB: v.number(), diskGB: v.number() }),
  language: v.optional(v.string()),
  snapshotId: v.optional(v.string()),
  gitRepo: v.optional(v.string()),
  // Used only when the row is created.
  harnessId: v.optional(v.string()),
  createdAt: v.number(),
});

const change = v.object({
  sandboxId: v.string(), // Sandkeeper's id
  daytonaSandboxId: v.string(),
  userId: v.string(), // the owner; a row of another owner is left alone
  revision: v.number(),
  lastAccessedAt: v.optional(v.number()), // ms; never moves backwards
  // What the row shall say; null removes it; absent is a touch, which no revision guards.
  row: v.optional(v.union(wantedRow, v.null())),
});

type Change = Infer<typeof change>;
type WantedRow = Infer<typeof wantedRow>;
type Result = {
  daytonaSandboxId: string;
  /** `stale`: not newer than `revision`, nothing written. `no_row`: nothing to touch. */
  outcome: "applied" | "stale" | "foreign_owner" | "no_row";
  /** The revision stored now; 0 when Convex never saw one. */
  revision: number;
};

// The tables belong to the app's schema, which this file does not know.
type Reader = GenericDatabaseReader<any>;
type Writer = GenericDatabaseWriter<any>;
type Doc = Record<string, any>;

/** Write up to 100 changes, in order, all or nothing. Answers one result per change. */
export const apply = internalMutationGeneric({
  args: { changes: v.array(change) },
  handler: async ({ db }, { changes }): Promise<Result[]> => {
    if (changes.length > MAX_CHANGES) {
      const message = `${changes.length} changes in one call; send at most ${MAX_CHANGES}.`;
      throw new ConvexError({ code: "too_many_changes", message });
    }
    const results: Result[] = [];
    for (const one of changes) {
      results.push(await applyOne(db, one));
    }
    return results;
  },
});

/** Page through every row, for verification: pass the answer's cursor on until it is null. */
export const list = internalQueryGeneric({
  args: { cursor: v.union(v.string(), v.null()), limit: v.optional(v.number()) },
  handler: async ({ db }, { cursor, limit }) => {
    const page = await db.query("sandboxes").paginate({ cursor, numItems: limit ?? PAGE });
    const rows = await Promise.all(page.page.map((row: Doc) => listed(db, row)));
    return { rows, cursor: page.isDone ? null : page.continueCursor };
  },
});

async function applyOne(db: Writer, change: Change): Promise<Result> {
  const { daytonaSandboxId, userId, row: wanted } = change;
  const seen = await revisionOf(db, daytonaSandboxId);
  const stored = seen?.revision ?? 0;
  const rows = await rowsOf(db, daytonaSandboxId);
  const answer = (outcome: Result["outcome"], revision: number): Result => ({
    daytonaSandboxId,
    outcome,
    revision,
  });
  if (rows.some((row) => row.userId !== userId)) {
    return answer("foreign_owner", stored);
  }
  if (wanted === undefined) {
    await touch(db, rows[0], change.lastAccessedAt);
    return answer(rows.length > 0 ? "applied" : "no_row", stored);
  }
  // An answer that got lost is sent again with its own revision: right if it is what is written already.
  const repeated = seen?.revision === change.revision && alreadySays(rows, wanted);
  if (change.revision <= stored && !repeated) {
    await touch(db, rows[0], change.lastAccessedAt);
    return answer("stale", stored);
  }
  if (wanted === null) {
    await remove(db, rows, userId, daytonaSandboxId);
  } else {
    await upsert(db, rows, wanted, change);
  }
  await remember(db, seen, change);
  return answer("applied", change.revision);
}

async function upsert(db: Writer, rows: Doc[], wanted: WantedRow, change: Change): Promise<void> {
  const [row, ...twins] = rows;
  if (row === undefined) {
    await create(db, wanted, change);
    return;
  }
  for (const twin of twins) {
    await dropTwin(db, twin, row);
  }
  const patch = differences(row, wanted);
  if (Object.keys(patch).length > 0) {
    await db.patch(row._id, patch);
  }
  await touch(db, row, change.lastAccessedAt);
}

async function create(db: Writer, wanted: WantedRow, change: Change): Promise<void> {
  const { harnessId: named, ...fields } = wanted;
  const { userId, daytonaSandboxId, lastAccessedAt } = change;
  const harnessId = named === undefined ? null : db.normalizeId("harnesses", named);
  const harness = harnessId === null ? null : await db.get(harnessId);
  const own = harness !== null && harness.userId === userId;
  const id = await db.insert("sandboxes", {
    ...fields,
    ...(own ? { harnessId } : {}),
    ...(lastAccessedAt === undefined ? {} : { lastAccessedAt }),
    userId,
    daytonaSandboxId,
  });
  if (own) {
    await db.patch(harness._id, { sandboxId: id, daytonaSandboxId });
  }
}

/** The app's createInternal leaves a second row when it is repeated: everything that points at it moves. */
async function dropTwin(db: Writer, twin: Doc, kept: Doc): Promise<void> {
  for (const table of ["harnesses", "workspaces"]) {
    for (const doc of await ownedBy(db, table, twin.userId)) {
      if (doc.sandboxId === twin._id) {
        await db.patch(doc._id, { sandboxId: kept._id });
      }
    }
  }
  await db.delete(twin._id);
}

async function remove(db: Writer, rows: Doc[], userId: string, daytonaSandboxId: string): Promise<void> {
  const ids = new Set(rows.map((row) => row._id));
  for (const harness of await ownedBy(db, "harnesses", userId)) {
    if (harness.daytonaSandboxId === daytonaSandboxId || ids.has(harness.sandboxId)) {
      const unlinked = { sandboxEnabled: false, sandboxId: undefined, daytonaSandboxId: undefined };
      await db.patch(harness._id, unlinked);
    }
  }
  for (const workspace of await ownedBy(db, "workspaces", userId)) {
    if (ids.has(workspace.sandboxId)) {
      await db.patch(workspace._id, { sandboxId: undefined });
    }
  }
  for (const row of rows) {
    await db.delete(row._id);
  }
}

async function touch(db: Writer, row: Doc | undefined, at: number | undefined): Promise<void> {
  if (row !== undefined && at !== undefined && at > (row.lastAccessedAt ?? 0)) {
    await db.patch(row._id, { lastAccessedAt: at });
  }
}

async function remember(db: Writer, seen: Doc | null, change: Change): Promise<void> {
  const { daytonaSandboxId, sandboxId, revision, row } = change;
  const next = { daytonaSandboxId, sandboxId, revision, removed: row === null };
  if (seen === null) {
    await db.insert("sandkeeperRevisions", next);
  } else {
    await db.replace(seen._id, next);
  }
}

/** The fields of the row that say something else than wanted. */
function differences(row: Doc, wanted: WantedRow): Doc {
  const { createdAt: _createdAt, harnessId: _harnessId, ...fields } = wanted;
  const all: Doc = { ...fields, errorMessage: fields.errorMessage };
  return Object.fromEntries(Object.entries(all).filter(([key, value]) => !same(row[key], value)));
}

function alreadySays(rows: Doc[], wanted: WantedRow | null): boolean {
  if (wanted === null) {
    return rows.length === 0;
  }
  return rows.length === 1 && Object.keys(differences(rows[0]!, wanted)).length === 0;
}

function same(a: Doc[string], b: Doc[string]): boolean {
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") {
    return a === b;
  }
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => same(a[key], b[key]));
}

async function listed(db: Reader, row: Doc): Promise<Doc> {
  const seen = await revisionOf(db, row.daytonaSandboxId);
  return {
    ...Object.fromEntries(SHOWN.flatMap((key) => (key in row ? [[key, row[key]]] : []))),
    ...(seen === null ? {} : { sandboxId: seen.sandboxId, revision: seen.revision }),
  };
}

function revisionOf(db: Reader, daytonaSandboxId: string): Promise<Doc | null> {
  return db
    .query("sandkeeperRevisions")
    .withIndex("by_daytona_id", (q) => q.eq("daytonaSandboxId", daytonaSandboxId))
    .unique();
}

function rowsOf(db: Reader, daytonaSandboxId: string): Promise<Doc[]> {
  return db
    .query("sandboxes")
    .withIndex("by_daytona_id", (q) => q.eq("daytonaSandboxId", daytonaSandboxId))
    .collect();
}

function ownedBy(db: Reader, table: string, userId: string): Promise<Doc[]> {
  return db
    .query(table)
    .withIndex("by_user", (q) => q.eq("userId", userId))
    .collect();
}
