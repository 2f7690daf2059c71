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
import { ConvexError, v, type GenericId, type Infer } from "convex/values";

/** More changes in one call are refused with the ConvexError code `too_many_changes`. */
export const MAX_CHANGES = 100;
/** A larger page is refused with the ConvexError code `bad_limit`: each row of it costs two reads. */
export const MAX_PAGE = 1000;
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

/** Every index that is read here, with its first field. */
const NEEDED = [
  ["sandboxes", "by_daytona_id", "daytonaSandboxId"],
  ["harnesses", "by_user", "userId"],
  ["workspaces", "by_user", "userId"],
  ["sandkeeperRevisions", "by_daytona_id", "daytonaSandboxId"],
] as const;

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
  // Linked only with `firstCreation`.
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
  lastAccessedAt: v.optional(v.number()), // ms; the later of this and what the row has is kept
  // A person has asked for this sandbox and it was never shown before: its harness may be linked.
  firstCreation: v.optional(v.boolean()),
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
  /** Answered where a harness was given with `firstCreation`. */
  harnessLinked?: boolean;
};

// The tables belong to the app's schema, which this file does not know: only what it reads has a type.
type Reader = GenericDatabaseReader<any>;
type Writer = GenericDatabaseWriter<any>;
type Fields = Record<string, unknown>;
type Row = Fields & {
  _id: GenericId<"sandboxes">;
  userId: string;
  daytonaSandboxId: string;
  harnessId?: string;
  lastAccessedAt?: number;
};
type Linking = Fields & {
  _id: GenericId<string>;
  userId: string;
  sandboxId?: GenericId<"sandboxes"> | undefined;
  daytonaSandboxId?: string | undefined;
};
type Seen = { _id: GenericId<string>; sandboxId: string; revision: number; removed: boolean };
type LinkingTable = "harnesses" | "workspaces";

/** What points at an owner's sandboxes, read once in a call however many of them it changes. */
class Links {
  private readonly db: Writer;
  private readonly known = new Map<string, Linking[]>();

  constructor(db: Writer) {
    this.db = db;
  }

  async of(table: LinkingTable, userId: string): Promise<Linking[]> {
    const key = `${table} ${userId}`;
    const docs = this.known.get(key) ?? (await ownedBy(this.db, table, userId));
    this.known.set(key, docs);
    return docs;
  }

  async set(doc: Linking, fields: Partial<Linking>): Promise<void> {
    await this.db.patch(doc._id, fields);
    const copies = [...this.known.values()].flat().filter((copy) => copy._id === doc._id);
    copies.forEach((copy) => Object.assign(copy, fields));
  }
}

/** Write up to 100 changes, in order, all or nothing. Answers one result per change. */
export const apply = internalMutationGeneric({
  args: { changes: v.array(change) },
  handler: async ({ db }, { changes }): Promise<Result[]> => {
    if (changes.length > MAX_CHANGES) {
      const message = `${changes.length} changes in one call; send at most ${MAX_CHANGES}.`;
      throw new ConvexError({ code: "too_many_changes", message });
    }
    const results: Result[] = [];
    const links = new Links(db);
    for (const one of changes) {
      results.push(await applyOne(db, links, one));
    }
    return results;
  },
});

/** Page through every row, for verification: pass the answer's cursor on until it is null. */
export const list = internalQueryGeneric({
  args: { cursor: v.union(v.string(), v.null()), limit: v.optional(v.number()) },
  handler: async ({ db }, { cursor, limit = PAGE }) => {
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
      const message = `limit is ${limit}; send a whole number from 1 to ${MAX_PAGE}.`;
      throw new ConvexError({ code: "bad_limit", message });
    }
    const page = await db.query("sandboxes").paginate({ cursor, numItems: limit });
    const rows = await Promise.all(page.page.map((row: Row) => listed(db, row)));
    return { rows, cursor: page.isDone ? null : page.continueCursor };
  },
});

/** Which of the tables and indexes that `apply` and `list` need the app's schema lacks. Changes nothing. */
export const probe = internalQueryGeneric({
  args: {},
  handler: async ({ db }): Promise<{ missing: string[] }> => {
    const missing: string[] = [];
    for (const [table, index, field] of NEEDED) {
      try {
        await db
          .query(table)
          .withIndex(index, (q) => q.eq(field, "sandkeeper-probe"))
          .first();
      } catch {
        missing.push(`${table}.${index}`);
      }
    }
    return { missing };
  },
});

async function applyOne(db: Writer, links: Links, change: Change): Promise<Result> {
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
    await touch(db, rows, change.lastAccessedAt);
    return answer(rows.length > 0 ? "applied" : "no_row", stored);
  }
  if (wanted !== null && rows.length === 0 && isToBeLeft(seen, wanted)) {
    return answer("removed", stored);
  }
  // An answer that got lost is sent again with its own revision: right if it is what is written already.
  const repeated = seen?.revision === change.revision && alreadySays(rows, wanted);
  if (change.revision <= stored && !repeated) {
    await touch(db, rows, change.lastAccessedAt);
    return answer("stale", stored);
  }
  if (wanted === null) {
    await remove(db, links, rows, change);
  } else if (rows.length === 0) {
    await create(db, links, wanted, change, seen);
  } else {
    await update(db, links, rows, wanted, change);
  }
  await remember(db, seen, change);
  return { ...answer("applied", change.revision), ...(await linkedOrNot(db, change)) };
}

/** Its user took it off the list: it was there by what is remembered here, or by what Sandkeeper knows. */
function isToBeLeft(seen: Seen | null, wanted: WantedRow): boolean {
  if (wanted.ifAbsent === "recreate") {
    return false;
  }
  return seen === null ? wanted.ifAbsent === "leave" : !seen.removed;
}

async function update(db: Writer, links: Links, rows: Row[], wanted: WantedRow, change: Change): Promise<void> {
  await touch(db, rows, change.lastAccessedAt);
  const [row, ...twins] = rows as [Row, ...Row[]];
  for (const twin of twins) {
    await dropTwin(db, links, twin, row);
  }
  const patch = differences(row, wanted);
  if (Object.keys(patch).length > 0) {
    await db.patch(row._id, patch);
  }
}

async function create(
  db: Writer,
  links: Links,
  wanted: WantedRow,
  change: Change,
  seen: Seen | null,
): Promise<void> {
  const { harnessId: named, rename: _rename, takeBack: _takeBack, ifAbsent: _ifAbsent, ...fields } = wanted;
  const { userId, daytonaSandboxId, lastAccessedAt } = change;
  // Whoever was shown before has had its link: what points elsewhere now was pointed there since.
  const isFirst = change.firstCreation === true && seen === null;
  const harness = isFirst && named !== undefined ? await freeHarness(db, named, userId) : null;
  const sandboxId = await db.insert("sandboxes", {
    ...fields,
    ...(harness === null ? {} : { harnessId: harness._id }),
    ...(lastAccessedAt === undefined ? {} : { lastAccessedAt }),
    userId,
    daytonaSandboxId,
  });
  if (harness !== null) {
    await links.set(harness, { sandboxId, daytonaSandboxId });
  }
}

/** The harness of that id, if it is the owner's and no sandbox that is still shown is linked to it. */
async function freeHarness(db: Reader, named: string, userId: string): Promise<Linking | null> {
  const id = db.normalizeId("harnesses", named);
  const harness: Linking | null = id === null ? null : await db.get(id);
  if (harness === null || harness.userId !== userId) {
    return null;
  }
  const { sandboxId, daytonaSandboxId } = harness;
  const isLinked =
    (sandboxId !== undefined && (await db.get(sandboxId)) !== null) ||
    (daytonaSandboxId !== undefined && (await rowsOf(db, daytonaSandboxId)).length > 0);
  return isLinked ? null : harness;
}

async function linkedOrNot(db: Reader, change: Change): Promise<Pick<Result, "harnessLinked">> {
  const harnessId = change.row?.harnessId;
  if (!change.firstCreation || harnessId === undefined) {
    return {};
  }
  const [row] = await rowsOf(db, change.daytonaSandboxId);
  return { harnessLinked: row?.harnessId === harnessId };
}

/** The app's createInternal leaves a second row when it is repeated: everything that points at it moves. */
async function dropTwin(db: Writer, links: Links, twin: Row, kept: Row): Promise<void> {
  for (const table of ["harnesses", "workspaces"] as const) {
    for (const doc of await links.of(table, twin.userId)) {
      if (doc.sandboxId === twin._id) {
        await links.set(doc, { sandboxId: kept._id });
      }
    }
  }
  await db.delete(twin._id);
}

async function remove(db: Writer, links: Links, rows: Row[], change: Change): Promise<void> {
  const { userId, daytonaSandboxId } = change;
  const ids = new Set<string | undefined>(rows.map((row) => row._id));
  for (const harness of await links.of("harnesses", userId)) {
    if (harness.daytonaSandboxId === daytonaSandboxId || ids.has(harness.sandboxId)) {
      const unlinked = { sandboxEnabled: false, sandboxId: undefined, daytonaSandboxId: undefined };
      await links.set(harness, unlinked);
    }
  }
  for (const workspace of await links.of("workspaces", userId)) {
    if (ids.has(workspace.sandboxId)) {
      await links.set(workspace, { sandboxId: undefined });
    }
  }
  for (const row of rows) {
    await db.delete(row._id);
  }
}

/** "Last used" of the first row: the latest that any of its rows or the caller knows. */
async function touch(db: Writer, rows: Row[], at: number | undefined): Promise<void> {
  const [row, ...twins] = rows;
  const latest = Math.max(at ?? 0, ...twins.map((twin) => twin.lastAccessedAt ?? 0));
  if (row !== undefined && latest > (row.lastAccessedAt ?? 0)) {
    await db.patch(row._id, { lastAccessedAt: latest });
  }
}

async function remember(db: Writer, seen: Seen | null, change: Change): Promise<void> {
  const { daytonaSandboxId, sandboxId, revision, row } = change;
  const next = { daytonaSandboxId, sandboxId, revision, removed: row === null };
  if (seen === null) {
    await db.insert("sandkeeperRevisions", next);
  } else {
    await db.replace(seen._id, next);
  }
}

/** The fields of the row that are to say something else. */
function differences(row: Row, wanted: WantedRow): Fields {
  const { status, name, errorMessage, rename, takeBack } = wanted;
  const all: Fields = rename === false ? { status } : { status, name };
  if (errorMessage !== undefined || takeBack?.some((ours) => ours === row["errorMessage"])) {
    all["errorMessage"] = errorMessage;
  }
  return Object.fromEntries(Object.entries(all).filter(([key, value]) => row[key] !== value));
}

function alreadySays(rows: Row[], wanted: WantedRow | null): boolean {
  if (wanted === null) {
    return rows.length === 0;
  }
  return rows.length === 1 && Object.keys(differences(rows[0]!, wanted)).length === 0;
}

async function listed(db: Reader, row: Row): Promise<Fields> {
  const seen = await revisionOf(db, row.daytonaSandboxId);
  return {
    ...Object.fromEntries(SHOWN.flatMap((key) => (key in row ? [[key, row[key]]] : []))),
    ...(seen === null ? {} : { sandboxId: seen.sandboxId, revision: seen.revision }),
  };
}

function revisionOf(db: Reader, daytonaSandboxId: string): Promise<Seen | null> {
  return db
    .query("sandkeeperRevisions")
    .withIndex("by_daytona_id", (q) => q.eq("daytonaSandboxId", daytonaSandboxId))
    .unique();
}

function rowsOf(db: Reader, daytonaSandboxId: string): Promise<Row[]> {
  return db
    .query("sandboxes")
    .withIndex("by_daytona_id", (q) => q.eq("daytonaSandboxId", daytonaSandboxId))
    .collect();
}

function ownedBy(db: Reader, table: LinkingTable, userId: string): Promise<Linking[]> {
  return db
    .query(table)
    .withIndex("by_user", (q) => q.eq("userId", userId))
    .collect();
}
