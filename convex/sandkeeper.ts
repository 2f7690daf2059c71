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
  errorMessage: v.optional(v.string()), // absent: see `takeBack`
  ephemeral: v.boolean(),
  resources: v.object({ cpu: v.number(), memoryGB: v.number(), diskGB: v.number() }),
  language: v.optional(v.string()),
  snapshotId: v.optional(v.string()),
  gitRepo: v.optional(v.string()),
  harnessId: v.optional(v.string()),
  createdAt: v.number(),
  // A row that exists gets the status, the message and, unless this is false, the name. All else is for a new one.
  rename: v.optional(v.boolean()),
  // Without an errorMessage: which of them to clear. Any other was not written by Sandkeeper, and stays.
  takeBack: v.optional(v.array(v.string())),
  // Where there is no row. `create`: not if one was written here before, because its user took it off the list;
  // `leave`: not at all, Sandkeeper knows that it had one; `recreate`: a person asked for it.
  ifAbsent: v.optional(v.union(v.literal("create"), v.literal("leave"), v.literal("recreate"))),
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
  /** `stale`: not newer than `revision`, nothing written. `no_row`: nothing to touch. `removed`: see `ifAbsent`. */
  outcome: "applied" | "stale" | "foreign_owner" | "no_row" | "removed";
  /** The revision stored now; 0 when Convex never saw one. */
  revision: number;
  /** Of a new row that named a harness. */
  harness?: Link;
};
/** A harness is linked once, and only to a sandbox of its owner. */
type Link = "linked" | "not_theirs" | "taken";

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
  if (wanted !== null && rows.length === 0 && isToBeLeft(seen, wanted)) {
    return answer("removed", stored);
  }
  // An answer that got lost is sent again with its own revision: right if it is what is written already.
  const repeated = seen?.revision === change.revision && alreadySays(rows, wanted);
  if (change.revision <= stored && !repeated) {
    await touch(db, rows[0], change.lastAccessedAt);
    return answer("stale", stored);
  }
  let harness: Link | undefined;
  if (wanted === null) {
    await remove(db, rows, userId, daytonaSandboxId);
  } else {
    harness = await upsert(db, rows, wanted, change);
  }
  await remember(db, seen, change);
  return { ...answer("applied", change.revision), ...(harness === undefined ? {} : { harness }) };
}

/** Its user took it off the list: it was there by what is remembered here, or by what Sandkeeper knows. */
function isToBeLeft(seen: Doc | null, wanted: WantedRow): boolean {
  if (wanted.ifAbsent === "recreate") {
    return false;
  }
  return seen === null ? wanted.ifAbsent === "leave" : !seen.removed;
}

async function upsert(db: Writer, rows: Doc[], wanted: WantedRow, change: Change): Promise<Link | undefined> {
  const [row, ...twins] = rows;
  if (row === undefined) {
    return create(db, wanted, change);
  }
  for (const twin of twins) {
    await dropTwin(db, twin, row);
  }
  const patch = differences(row, wanted);
  if (Object.keys(patch).length > 0) {
    await db.patch(row._id, patch);
  }
  await touch(db, row, change.lastAccessedAt);
  return undefined;
}

async function create(db: Writer, wanted: WantedRow, change: Change): Promise<Link | undefined> {
  const { harnessId: named, rename: _rename, takeBack: _takeBack, ifAbsent: _ifAbsent, ...fields } = wanted;
  const { userId, daytonaSandboxId, lastAccessedAt } = change;
  const harnessId = named === undefined ? null : db.normalizeId("harnesses", named);
  const harness = harnessId === null ? null : await db.get(harnessId);
  const link = named === undefined ? undefined : await mayLink(db, harness, userId);
  const id = await db.insert("sandboxes", {
    ...fields,
    ...(link === "linked" ? { harnessId } : {}),
    ...(lastAccessedAt === undefined ? {} : { lastAccessedAt }),
    userId,
    daytonaSandboxId,
  });
  if (harness !== null && link === "linked") {
    await db.patch(harness._id, { sandboxId: id, daytonaSandboxId });
  }
  return link;
}

async function mayLink(db: Reader, harness: Doc | null, userId: string): Promise<Link> {
  if (harness === null || harness.userId !== userId) {
    return "not_theirs";
  }
  const byRow = harness.sandboxId === undefined ? null : await db.get(harness.sandboxId);
  const byId = harness.daytonaSandboxId === undefined ? [] : await rowsOf(db, harness.daytonaSandboxId);
  return byRow !== null || byId.length > 0 ? "taken" : "linked";
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

/** The fields of the row that are to say something else. */
function differences(row: Doc, wanted: WantedRow): Doc {
  const { status, name, errorMessage, rename, takeBack } = wanted;
  const all: Doc = { status };
  if (rename !== false) {
    all.name = name;
  }
  if (errorMessage !== undefined || takeBack?.includes(row.errorMessage)) {
    all.errorMessage = errorMessage;
  }
  return Object.fromEntries(Object.entries(all).filter(([key, value]) => row[key] !== value));
}

function alreadySays(rows: Doc[], wanted: WantedRow | null): boolean {
  if (wanted === null) {
    return rows.length === 0;
  }
  return rows.length === 1 && Object.keys(differences(rows[0]!, wanted)).length === 0;
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
