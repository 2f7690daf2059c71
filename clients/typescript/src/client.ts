import { familyOf, NotNow, type Problem, SandkeeperError, Unreachable } from "./errors.js";
import type { components, paths } from "./types.js";

export type Schemas = components["schemas"];
export type Sandbox = Schemas["Sandbox"];
export type Operation = Schemas["Operation"];
export type Event = Schemas["Event"];
export type FeedAnswer = Schemas["FeedAnswer"];

type Method = "get" | "post" | "patch" | "delete";
/** The paths below /api/v1 that have this method. */
type Address<M extends Method> = {
  [P in keyof paths]: P extends `/api/v1${infer Rest}` ? (paths[P][M] extends object ? Rest : never) : never;
}[keyof paths];
type Of<M extends Method, A extends string> = `/api/v1${A}` extends keyof paths ? paths[`/api/v1${A}`][M] : never;
type Body<O> = O extends { requestBody?: { content: { "application/json": infer B } } } ? B : never;
type Query<O> = O extends { parameters: { query?: infer Q } } ? Q : never;
type InPath<O> = O extends { parameters: { path: infer P } } ? { path: P } : { path?: never };
type Json<R> = R extends { content: { "application/json": infer B } } ? B : R extends { content?: never } ? undefined : never;
type Answer<O> = O extends { responses: infer R } ? { [S in keyof R]: S extends 200 | 202 | 204 | 207 ? Json<R[S]> : never }[keyof R] : never;

export interface Settings {
  /** Seconds that the server may wait for the end of what was asked for; at most 60. */
  wait?: number;
  /** An ETag: only if the sandbox is still so. */
  ifMatch?: string;
  /** Yours, so that a repetition after your process died is the same request; else each POST gets one of its own. */
  idempotencyKey?: string;
}
type Asked<O> = InPath<O> & { query?: Query<O>; body?: Body<O> } & Settings;
type Rest<O> = InPath<O> extends { path: unknown } ? [asked: Asked<O>] : [asked?: Asked<O>];

export interface Options {
  url: string;
  /** A service key, or an end user's token. */
  key: string;
  owner?: string;
  /** How often a request is sent again where that is safe. */
  retries?: number;
  fetch?: typeof fetch;
}

const V1 = "/api/v1";
const LONGEST_PAUSE = 60;
const BESIDE_THE_WAIT = 10;
const PATIENCE = 180; // seconds; the start of an archived sandbox takes that long
const REPEATED_SAFELY = ["/ensure-running", "/touch"]; // no Idempotency-Key is needed
const WORTH_ASKING_AGAIN = ["superseded", "cancelled", "no_longer_due", "timeout", "daytona_rejected"];

const pause = (seconds: number) => new Promise((resume) => setTimeout(resume, seconds * 1000));

interface Sent extends Settings {
  method: string;
  path: string;
  body?: unknown;
}

/** A client of one Sandkeeper, for one owner (or, with a key for all owners, for all). */
export class Sandkeeper {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** The same client for another owner. */
  onBehalfOf(owner: string): Sandkeeper {
    return new Sandkeeper({ ...this.#options, owner });
  }

  get<A extends Address<"get">>(address: A, ...rest: Rest<Of<"get", A>>): Promise<Answer<Of<"get", A>>> {
    return this.#call("GET", address, rest[0]);
  }

  post<A extends Address<"post">>(address: A, ...rest: Rest<Of<"post", A>>): Promise<Answer<Of<"post", A>>> {
    return this.#call("POST", address, rest[0]);
  }

  patch<A extends Address<"patch">>(address: A, ...rest: Rest<Of<"patch", A>>): Promise<Answer<Of<"patch", A>>> {
    return this.#call("PATCH", address, rest[0]);
  }

  delete<A extends Address<"delete">>(address: A, ...rest: Rest<Of<"delete", A>>): Promise<Answer<Of<"delete", A>>> {
    return this.#call("DELETE", address, rest[0]);
  }

  /** The running sandbox: ask before each use. Started unless a person wants it stopped (`PersonSaidNo`). */
  async ensureRunning(id: string, { reason = "", patience = PATIENCE } = {}): Promise<Sandbox> {
    const until = Date.now() + patience * 1000;
    for (let tried = 0; ; ) {
      const left = (until - Date.now()) / 1000;
      try {
        const path = `/sandboxes/${encodeURIComponent(id)}/ensure-running`;
        const answer = await this.#send({ method: "POST", path, body: reason ? { reason } : {}, wait: waitOf(left) });
        if (answer.status === 200) return (await answer.json()) as Sandbox;
        await this.#beforeLookingAgain(answer, left, patience);
      } catch (error) {
        if (!(error instanceof SandkeeperError) || !WORTH_ASKING_AGAIN.includes(error.code) || error instanceof NotNow) throw error;
        tried += 1;
        if (tried > this.#retries || left <= 0) throw error;
        await pause(Math.min(2 ** tried, left));
      }
    }
  }

  /** The operation when it has succeeded; the error of its code when it has not. */
  async wait(operation: Pick<Operation, "id">, { patience = PATIENCE } = {}): Promise<Operation> {
    const until = Date.now() + patience * 1000;
    for (;;) {
      const left = (until - Date.now()) / 1000;
      const answer = await this.#send({ method: "GET", path: `/operations/${operation.id}`, wait: waitOf(left) });
      const shown = (await answer.json()) as Operation;
      if (shown.status === "succeeded") return shown;
      await this.#beforeLookingAgain(answer, left, patience);
    }
  }

  /** Pages of the feed, for ever: keep `cursor` with what you made of `results`, and go on `after` it. */
  async *events(asked: { after?: number | "latest"; sandbox?: string; types?: string[]; wait?: number } = {}): AsyncGenerator<FeedAnswer> {
    const { sandbox, types, wait = 60 } = asked;
    for (let after: number | string | undefined = asked.after; ; ) {
      const path = `/events${queryOf({ after, sandbox, type: types })}`;
      const page = (await (await this.#send({ method: "GET", path, wait })).json()) as FeedAnswer;
      yield page;
      after = page.cursor;
    }
  }

  /** The rows of a page of a list, and of all that follow it. */
  async *every<T>(page: { results: T[]; next: string | null }): AsyncGenerator<T> {
    for (;;) {
      yield* page.results;
      if (page.next === null) return;
      // Nobody but the server that we know is sent the key.
      const { pathname, search } = new URL(page.next, this.#options.url);
      const path = pathname.slice(pathname.indexOf(V1) + V1.length) + search;
      page = (await (await this.#send({ method: "GET", path })).json()) as typeof page;
    }
  }

  get #retries(): number {
    return this.#options.retries ?? 4;
  }

  async #beforeLookingAgain(answer: Response, left: number, patience: number): Promise<void> {
    if (left <= 0) throw new NotNow({ code: "timeout", detail: `It goes on after ${patience} seconds.` });
    // The server has no place left for who waits.
    if (!answer.headers.has("Preference-Applied")) await pause(Math.min(1, left));
  }

  async #call(method: string, address: string, asked: (Settings & { path?: unknown; query?: unknown; body?: unknown }) | undefined) {
    const { path: values = {}, query = {}, body, ...settings } = asked ?? {};
    const path = address.replace(/{(\w+)}/g, (_, name: string) => encodeURIComponent(String((values as Record<string, unknown>)[name])));
    const answer = await this.#send({ method, path: path + queryOf(query as object), body, ...settings });
    const text = await answer.text();
    return text ? JSON.parse(text) : undefined;
  }

  async #send(sent: Sent): Promise<Response> {
    const isChange = sent.method === "POST" && !REPEATED_SAFELY.some((end) => sent.path.endsWith(end));
    const key = sent.idempotencyKey ?? (isChange ? crypto.randomUUID() : undefined);
    const mayBeRepeated = sent.method === "GET" || key !== undefined || sent.ifMatch === undefined;
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#once(sent, key).catch((error: unknown) => String(error));
      if (typeof answer !== "string" && answer.ok) return answer;
      const error = await errorOf(answer);
      const again = error instanceof Unreachable || (error instanceof NotNow && error.status !== 429) ? mayBeRepeated : error instanceof NotNow;
      if (!again || attempt >= this.#retries || (error.retryAfter ?? 0) > LONGEST_PAUSE) throw error;
      await pause(error.retryAfter ?? Math.min(0.25 * 2 ** attempt, 8) * (0.5 + Math.random() / 2));
    }
  }

  #once(sent: Sent, key: string | undefined): Promise<Response> {
    const { url, key: bearer, owner, fetch: send = fetch } = this.#options;
    const headers = new Headers({ Authorization: `Bearer ${bearer}` });
    if (owner !== undefined) headers.set("X-On-Behalf-Of", encodeURIComponent(owner));
    if (sent.body !== undefined) headers.set("Content-Type", "application/json");
    if (sent.wait !== undefined) headers.set("Prefer", `wait=${Math.round(sent.wait)}`);
    if (sent.ifMatch !== undefined) headers.set("If-Match", sent.ifMatch);
    if (key !== undefined) headers.set("Idempotency-Key", key);
    return send(url.replace(/\/+$/, "") + V1 + sent.path, {
      method: sent.method,
      headers,
      signal: AbortSignal.timeout(((sent.wait ?? 0) + BESIDE_THE_WAIT) * 1000),
      ...(sent.body === undefined ? {} : { body: JSON.stringify(sent.body) }),
    });
  }
}

async function errorOf(answer: Response | string): Promise<SandkeeperError> {
  if (typeof answer === "string") return new Unreachable({ code: "unreachable", detail: answer });
  const problem: unknown = await answer.json().catch(() => undefined);
  if (typeof problem !== "object" || problem === null || !("code" in problem)) {
    return new Unreachable({ code: "unreachable", status: answer.status, detail: `${answer.status} without a problem` });
  }
  const seconds = answer.headers.get("Retry-After");
  const family = familyOf(String(problem.code), answer.status);
  return new family(problem as Problem, seconds !== null && /^\d+$/.test(seconds) ? Number(seconds) : undefined);
}

function queryOf(query: object): string {
  const given = Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const text = new URLSearchParams(given.filter(([, one]) => one !== undefined).map(([name, one]) => [name, String(one)]));
  return text.size ? `?${text}` : "";
}

const waitOf = (left: number) => Math.max(0, Math.min(left, 30));
