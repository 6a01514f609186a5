// Gives the reader a file that exists only in this page, and pictures that a strict policy lets in.

export function saveBlob(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser may read a large file for a while after the click.
  setTimeout(() => URL.revokeObjectURL(url), 600_000);
}

export const saveText = (name: string, type: string, content: string): void =>
  saveBlob(name, new Blob([content], { type }));

/** A name that every file system takes. */
export const fileName = (text: string): string =>
  text.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[-.]+|-+$/g, '') || 'cairn';

/** The name that a server gives to what it sends. */
export const nameInHeader = (disposition: string | null): string | null =>
  /filename="([^"/\\]+)"/.exec(disposition ?? '')?.[1] ?? null;

/** An SVG text as an address for an image. */
export function svgAddress(svg: string): string {
  const bytes = new TextEncoder().encode(svg);
  return `data:image/svg+xml;base64,${btoa(String.fromCharCode(...bytes))}`;
}
