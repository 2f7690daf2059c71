/** One class for each family of codes: what a program does next depends on the family. */

/** An error of the API (RFC 9457). Branch on the class, or on `code`. */
export interface Problem {
  code: string;
  title: string;
  status: number;
  detail: string;
  remedy: string;
  request_id: string;
  [more: string]: unknown;
}

/** The API said no, or nothing. `code` is stable, `detail` and `remedy` are for people. */
export class SandkeeperError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(
    readonly problem: Partial<Problem>,
    /** Seconds. */
    readonly retryAfter?: number,
  ) {
    super(`${problem.code}: ${problem.detail ?? ""} ${problem.remedy ?? ""}`.trim());
    this.name = new.target.name;
    this.code = problem.code ?? "";
    this.status = problem.status ?? 0;
  }
}

/** No answer, or one that is not Sandkeeper's. What was asked for may have happened. */
export class Unreachable extends SandkeeperError {}
/** The request is wrong: mend the program. */
export class Invalid extends SandkeeperError {}
/** The key, its scopes or its network do not allow it. */
export class NotAllowed extends SandkeeperError {}
/** There is no such thing, or no more: forget its id. */
export class NotFound extends SandkeeperError {}
/** A person stopped it, or holds its owner: tell the user, and do not try again by yourself. */
export class PersonSaidNo extends SandkeeperError {}
/** A quota or a limit is reached: tell the user. */
export class NoRoom extends SandkeeperError {}
/** The sandbox itself is in an error: recover it, or offer a new one. */
export class Broken extends SandkeeperError {}
/** Somebody else was there first: look again, and decide anew. */
export class Overtaken extends SandkeeperError {}
/** Not in the state that it is in now. */
export class Conflict extends SandkeeperError {}
/** Events after this cursor are not kept: list everything, and follow from `latest`. */
export class CursorExpired extends SandkeeperError {}
/** Daytona refused, or did not finish in time: once more after a pause, then tell the user. */
export class DaytonaFailed extends SandkeeperError {}
/** Too much, too early, or out of order on the server's side: later, with the same request. */
export class NotNow extends SandkeeperError {}

type Family = new (problem: Partial<Problem>, retryAfter?: number) => SandkeeperError;

const OF_CODES: [Family, string[]][] = [
  [PersonSaidNo, ["sandbox_stopped_by_user", "owner_on_hold"]],
  [NoRoom, ["capacity_exhausted", "quota_too_small", "disk_quota_full", "sandbox_limit_reached"]],
  [Broken, ["sandbox_errored", "sandbox_unrecoverable", "recovery_cooldown"]],
  [Overtaken, ["superseded", "cancelled", "no_longer_due", "precondition_failed"]],
  [CursorExpired, ["cursor_expired"]],
  [NotNow, ["request_in_progress"]],
];
const OF_STATUSES: [Family, number[]][] = [
  [NotAllowed, [401, 403]],
  [NotFound, [404, 410]],
  [Conflict, [409]],
  [NotNow, [408, 429, 500, 503]],
  [DaytonaFailed, [502, 504]],
];

/** The class of a code; of one that this client does not know, by its HTTP status. */
export function familyOf(code: string, status: number): Family {
  const [ofCode] = OF_CODES.find(([, codes]) => codes.includes(code)) ?? [];
  const [ofStatus] = OF_STATUSES.find(([, statuses]) => statuses.includes(status)) ?? [];
  return ofCode ?? ofStatus ?? (status >= 500 ? NotNow : Invalid);
}
