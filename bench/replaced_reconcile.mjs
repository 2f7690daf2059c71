// The sweep of the application that this one replaces, in its own language, to be measured beside ours.
//
//   node bench/replaced_reconcile.mjs DAYTONA_URL DAYTONA_KEY CONVEX_URL CONVEX_KEY OWNERS SIDE_BY_SIDE
//
// For each owner: ask Convex for their rows; GET every sandbox, all at once; skip rows in transition; write each
// difference to Convex with a call of its own; a 404 becomes `archived`. SIDE_BY_SIDE owners are swept at a time.
// Prints one JSON object: the seconds, and what it did. Run by bench/reconcile.py, which counts requests and CPU.

const [daytonaUrl, daytonaKey, convexUrl, convexKey, owners, sideBySide] = process.argv.slice(2);

const SKIPPED = ["creating", "starting", "stopping"];
const STATUS = {
  started: "running", running: "running", snapshotting: "running",
  starting: "starting", pulling_snapshot: "starting", restoring: "starting", resizing: "starting",
  stopping: "stopping", archiving: "stopping", destroying: "stopping",
  creating: "creating", pending_build: "creating", building_snapshot: "creating", forking: "creating",
  stopped: "stopped", archived: "archived", destroyed: "archived",
  error: "error", build_failed: "error",
};

const done = { checked: 0, updated: 0, errors: 0 };

async function convex(kind, path, args) {
  const answer = await fetch(`${convexUrl}/api/${kind}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Convex ${convexKey}` },
    body: JSON.stringify({ path, args, format: "json" }),
  });
  return (await answer.json()).value;
}

async function updateStatus(row, status) {
  await convex("mutation", "sandboxes:updateStatus", { daytonaSandboxId: row.daytonaSandboxId, status });
  done.updated++;
}

async function reconcileRow(row) {
  if (SKIPPED.includes(row.status)) return;
  done.checked++;
  try {
    const answer = await fetch(`${daytonaUrl}/sandbox/${row.daytonaSandboxId}`, {
      headers: { authorization: `Bearer ${daytonaKey}` },
    });
    const body = await answer.json();
    const status = answer.status === 404 ? "archived" : answer.ok ? STATUS[body.state] : undefined;
    if (!answer.ok && answer.status !== 404) done.errors++;
    if (status !== undefined && status !== row.status) await updateStatus(row, status);
  } catch {
    done.errors++;
  }
}

let next = 0;

async function reconcileOwners() {
  while (next < Number(owners)) {
    const rows = await convex("query", "sandboxes:listForReconcile", { userId: `user_${next++}` });
    await Promise.all(rows.map(reconcileRow));
  }
}

const began = performance.now();
await Promise.all(Array.from({ length: Number(sideBySide) }, reconcileOwners));
console.log(JSON.stringify({ ...done, seconds: (performance.now() - began) / 1000 }));
