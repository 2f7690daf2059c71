/** For the tests: a schema like that of the app whose sandboxes Sandkeeper manages. Not for deploying. */
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

import { sandkeeperTables } from "./sandkeeper";

export default defineSchema({
  sandboxes: defineTable({
    userId: v.string(),
    harnessId: v.optional(v.id("harnesses")),
    daytonaSandboxId: v.string(),
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
    language: v.optional(v.string()),
    ephemeral: v.boolean(),
    resources: v.object({ cpu: v.number(), memoryGB: v.number(), diskGB: v.number() }),
    labels: v.optional(v.record(v.string(), v.string())),
    snapshotId: v.optional(v.string()),
    gitRepo: v.optional(v.string()),
    lastAccessedAt: v.optional(v.number()),
    createdAt: v.number(),
    errorMessage: v.optional(v.string()),
  })
    .index("by_user", ["userId"])
    .index("by_harness", ["harnessId"])
    .index("by_daytona_id", ["daytonaSandboxId"]),
  harnesses: defineTable({
    userId: v.string(),
    name: v.string(),
    sandboxEnabled: v.optional(v.boolean()),
    sandboxId: v.optional(v.id("sandboxes")),
    daytonaSandboxId: v.optional(v.string()),
  }).index("by_user", ["userId"]),
  workspaces: defineTable({
    userId: v.string(),
    name: v.string(),
    sandboxId: v.optional(v.id("sandboxes")),
  }).index("by_user", ["userId"]),
  ...sandkeeperTables,
});
