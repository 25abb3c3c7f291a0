// A whole client: sign-in, errors as one type, and lists read to their end. Works in browsers and in Node 20.
import { ROUTES, type Operations, type ProblemDetails, type SignedIn, type UserRead } from "./recado.js";

type Name = keyof Operations;
type Wanted<N extends Name> = Partial<Pick<Operations[N], "path" | "query" | "body">> & { headers?: HeadersInit };

/** A refusal: `code` is stable, `message` is in the language asked for, `errors` names every field at fault. */
export class RecadoError extends Error {
  constructor(readonly problem: ProblemDetails, readonly retryAfter: number | undefined) {
    super(problem.message);
  }
}

export class Recado {
  constructor(private readonly base: string, private token = "", private readonly language = "en") {}

  /** Sign in and keep the token; with a second factor on, ask `code` for the six digits. */
  async signIn(email: string, password: string, code: () => Promise<string>): Promise<UserRead> {
    const answer = await this.call("LogIn", { body: { email, password } });
    const signed: SignedIn = "challenge" in answer
      ? await this.call("VerifyTwoFactor", { body: { challenge: answer.challenge, code: await code() } })
      : answer;
    this.token = signed.token;
    return signed.user;
  }

  /** Carry one operation out: its id decides what it takes and what it answers. */
  async call<N extends Name>(name: N, { path = {}, query = {}, body, headers }: Wanted<N> = {}): Promise<Operations[N]["answer"]> {
    const route = ROUTES[name];
    const ids = path as Record<string, string | number>;
    const url = new URL(route.path.replace(/{(\w+)}/g, (_, id: string) => encodeURIComponent(ids[id]!)), this.base);
    for (const [key, value] of Object.entries(query)) {
      for (const one of [value].flat()) if (one !== undefined) url.searchParams.append(key, String(one));
    }
    const form = body instanceof FormData;
    const sent = new Headers({ "Accept-Language": this.language, ...(body !== undefined && !form && { "Content-Type": "application/json" }) });
    if (this.token) sent.set("Authorization", `Bearer ${this.token}`);
    new Headers(headers).forEach((value, key) => sent.set(key, value));
    const answer = await fetch(url, { method: route.method, headers: sent, body: form ? body : body === undefined ? undefined : JSON.stringify(body) });
    const kind = answer.headers.get("content-type") ?? "";
    if (!answer.ok) throw new RecadoError(await answer.json(), Number(answer.headers.get("retry-after")) || undefined);
    const read = kind.startsWith("application/json") ? answer.json() : kind.startsWith("text/") ? answer.text() : answer.blob();
    return (answer.status === 204 ? undefined : await read) as Operations[N]["answer"];
  }

  /** Yield every row of a list, page after page. */
  async *all<N extends Lists>(name: N, wanted: Wanted<N> = {}): AsyncGenerator<Row<N>> {
    for (let page = 1, last = 1; page <= last; page += 1) {
      const query = { per_page: 100, ...wanted.query, page };
      const found = (await this.call(name, { ...wanted, query } as Wanted<N>)) as unknown as Page<Row<N>>;
      yield* found.data;
      last = found.meta.last_page;
    }
  }
}

type Page<T> = { data: T[]; meta: { last_page: number } };
type Row<N extends Name> = Extract<Operations[N]["answer"], Page<unknown>>["data"][number];
/** The operations that answer pages. */
export type Lists = { [N in Name]: [Extract<Operations[N]["answer"], Page<unknown>>] extends [never] ? never : N }[Name];
