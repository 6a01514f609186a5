// Errors of the API: problem+json with a stable code, and the network failing underneath it.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly hint: string | null = null,
    readonly requestId: string | null = null,
    /** Seconds after which the appliance is willing to listen again. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail || title);
    this.name = 'ApiError';
  }

  /** True where a later attempt with the same request may well succeed. */
  get passing(): boolean {
    return [0, 401, 423, 429, 502, 503, 504, 507].includes(this.status) || this.code === 'tenant_suspended';
  }

  /** True where no session came along, as opposed to a wrong password or code. */
  get signedOut(): boolean {
    return this.status === 401 && /^(unauthenticated|session_|http_)/.test(this.code);
  }
}

export function unreachable(): ApiError {
  return new ApiError(
    0,
    'unreachable',
    'Cairn does not answer',
    'The connection to the appliance failed.',
    'Check that it is running and that this computer still reaches it, then try again.',
  );
}

/** Reads an error response; a body that is no problem document still gives a usable error. */
export function readProblem(status: number, body: string, retryAfter: string | null = null): ApiError {
  let problem: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null) problem = parsed as Record<string, unknown>;
  } catch {
    problem = {};
  }
  const word = (key: string) => (typeof problem[key] === 'string' ? (problem[key] as string) : '');
  const code = word('code') || `http_${status}`;
  return new ApiError(
    status,
    code,
    word('title') || `The appliance answered with status ${status}`,
    word('detail'),
    word('hint') || adviceFor(status, code),
    word('request_id') || null,
    retrySeconds(retryAfter),
  );
}

/** `Retry-After` in seconds; the header holds either those or a date. */
export function retrySeconds(header: string | null, now = Date.now()): number | null {
  if (header === null || header.trim() === '') return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, Math.ceil(seconds));
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - now) / 1000));
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, 'page', 'This page met an unexpected error', String(error));
}

function adviceFor(status: number, code: string): string | null {
  switch (status) {
    case 401:
      return code === 'unauthenticated' ? 'Your session has ended. Sign in again.' : null;
    case 413:
      return 'Split the file, or ask the administrator to raise the upload limit.';
    case 423:
      return 'Ask the administrator to unlock this tenant.';
    case 507:
      return 'Remove documents or free disk space, then try again.';
    default:
      return status >= 500 ? 'Try again; if it goes on, give the administrator the request id.' : null;
  }
}
