// The server functions of the application's web app, in place of its `sandbox-server.ts`. `owner` is the session's
// user id: a foreign sandbox is NotFound, so no `assertOwner` is needed, and Convex is written by Sandkeeper alone.
import { NotFound, type Operation, Sandkeeper } from "@sandkeeper/client";

export class SandboxServer {
  readonly #client: Sandkeeper;

  constructor(owner: string, settings: { url: string; key: string }) {
    this.#client = new Sandkeeper({ ...settings, owner });
  }

  async startSandbox(id: string): Promise<void> {
    await this.#ended(this.#client.post("/sandboxes/{sandbox_id}/start", { path: { sandbox_id: id }, wait: 30 }));
  }

  async stopSandbox(id: string): Promise<void> {
    await this.#ended(this.#client.post("/sandboxes/{sandbox_id}/stop", { path: { sandbox_id: id }, wait: 30 }));
  }

  async archiveSandbox(id: string): Promise<void> {
    await this.#ended(this.#client.post("/sandboxes/{sandbox_id}/archive", { path: { sandbox_id: id }, wait: 30 }));
  }

  /** What is gone already is deleted. */
  async deleteSandbox(id: string): Promise<void> {
    try {
      await this.#ended(this.#client.delete("/sandboxes/{sandbox_id}", { path: { sandbox_id: id }, wait: 30 }));
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
    }
  }

  async updateSandboxMetadata(id: string, name: string): Promise<void> {
    await this.#client.patch("/sandboxes/{sandbox_id}", { path: { sandbox_id: id }, body: { name } });
  }

  async syncSandbox(id: string): Promise<string> {
    const at = { path: { sandbox_id: id } };
    await this.#ended(this.#client.post("/sandboxes/{sandbox_id}/sync", at));
    return (await this.#client.get("/sandboxes/{sandbox_id}", at)).status;
  }

  async #ended(asked: Promise<Operation>): Promise<void> {
    const operation = await asked;
    if (operation.status !== "succeeded") await this.#client.wait(operation);
  }
}
