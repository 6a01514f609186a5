// Errors of the API: problem+json with a stable code, and the network failing underneath it.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly hint: string | null = null,
    readonly requestId: string | null = null,
  ) {
    super(detail || title);
    this.name = 'ApiError';
  }

  /** True where a later attempt with the same request may well succeed. */
  get passing(): boolean {
    return [0, 401, 423, 429, 502, 503, 504, 507].includes(this.status);
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
export function readProblem(status: number, body: string): ApiError {
  let problem: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null) problem = parsed as Record<string, unknown>;
  } catch {
    problem = {};
  }
  const word = (key: string) => (typeof problem[key] === 'string' ? (problem[key] as string) : '');
  return new ApiError(
    status,
    word('code') || `http_${status}`,
    word('title') || `The appliance answered with status ${status}`,
    word('detail'),
    word('hint') || adviceFor(status),
    word('request_id') || null,
  );
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, 'page', 'This page met an unexpected error', String(error));
}

function adviceFor(status: number): string | null {
  switch (status) {
    case 401:
      return 'Your session has ended. Open a new link from the administrator.';
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
