// One file on its way into a tenant.
import { proofFor, tenantUrl } from './http.ts';
import { ApiError, readProblem, unreachable } from './problem.ts';
import type { ItemState, UploadReceipt } from './types.ts';

export class Upload {
  sent = $state(0);
  error = $state.raw<ApiError | null>(null);
  receipt = $state.raw<UploadReceipt | null>(null);
  /** What became of it after it arrived, as far as this page has heard. */
  itemState = $state<ItemState | null>(null);
  #request: XMLHttpRequest | null = null;

  constructor(
    readonly tenant: string,
    readonly source: string,
    readonly file: File | null,
    /** Name of the collection it goes to; empty for the usual one. */
    readonly collection = '',
  ) {}

  get size(): number {
    return this.file?.size ?? 0;
  }

  /** Sends the file; `fetch` cannot report how much of a body has left, so this does not use it. */
  async send(): Promise<UploadReceipt> {
    const file = this.file;
    if (!file) throw gone();
    this.sent = 0;
    this.error = null;
    const request = new XMLHttpRequest();
    this.#request = request;
    request.open('POST', this.#url(file));
    request.setRequestHeader('accept', 'application/json');
    request.setRequestHeader('content-type', file.type || 'application/octet-stream');
    for (const [name, value] of Object.entries(proofFor('POST'))) request.setRequestHeader(name, value);
    request.upload.addEventListener('progress', (event) => (this.sent = event.loaded));
    const status = await new Promise<number>((resolve) => {
      request.addEventListener('loadend', () => resolve(request.status));
      request.send(file);
    });
    this.#request = null;
    if (status === 0) throw (await stillThere(file)) ? unreachable() : gone();
    if (status >= 400) {
      throw readProblem(status, request.responseText, request.getResponseHeader('retry-after'));
    }
    this.sent = file.size;
    this.receipt = JSON.parse(request.responseText) as UploadReceipt;
    this.itemState = this.receipt.item.state;
    return this.receipt;
  }

  stop(): void {
    this.#request?.abort();
  }

  #url(file: File): string {
    return tenantUrl(this.tenant, '/documents', {
      source: this.source,
      collection: this.collection,
      file_date: new Date(file.lastModified).toISOString(),
    });
  }
}

// A browser reports a file that vanished or changed under it just like a broken connection.
async function stillThere(file: File): Promise<boolean> {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

export function gone(): ApiError {
  return new ApiError(
    0,
    'unreadable_file',
    'The file cannot be read',
    'It was moved, changed or deleted, or you may not read it.',
    'Look where it is now and add it again.',
  );
}
