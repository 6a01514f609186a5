// One request with a large body and its answer. `fetch` cannot report how much of a body has left,
// so this does not use it.

/** A connection that moves no byte for so long is taken for lost. */
const STALL_MS = 30_000;
/** What is sent is made durable before it is acknowledged, which takes a while where it is large. */
const ANSWER_MS = 180_000;

export interface Outgoing {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: Blob | null;
  signal: AbortSignal;
  progress?: (sent: number) => void;
}

export interface Answer {
  /** 0 where none came: the connection failed. */
  status: number;
  header: (name: string) => string | null;
  text: string;
}

export type Exchange = (outgoing: Outgoing) => Promise<Answer>;

/** Sends a request; rejects only where its signal says to stop. */
export const exchange: Exchange = ({ method, url, headers, body, signal, progress }) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(stopped());
      return;
    }
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const watch = (patience: number) => {
      clearTimeout(timer);
      timer = setTimeout(stop, patience);
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener('progress', (event) => {
      watch(event.loaded < event.total ? STALL_MS : ANSWER_MS);
      progress?.(event.loaded);
    });
    request.addEventListener('loadend', () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      if (signal.aborted) reject(stopped());
      else resolve({ status: request.status, header: (name) => request.getResponseHeader(name), text: request.responseText });
    });
    signal.addEventListener('abort', stop);
    watch(body && body.size > 0 ? STALL_MS : ANSWER_MS);
    request.send(body);
  });

export const stopped = (): DOMException => new DOMException('It was stopped.', 'AbortError');

/** Waits, at most until the browser says that the network is back; rejects where `signal` says to stop. */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => () => {
      clearTimeout(timer);
      removeEventListener('online', back);
      signal.removeEventListener('abort', stop);
      settle();
    };
    const back = end(resolve);
    const stop = end(() => reject(stopped()));
    const timer = setTimeout(back, ms);
    addEventListener('online', back);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
  });
}
