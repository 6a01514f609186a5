// Files out of a drop or a file field, folders included, each with its path.

/** A file and the path under which it goes into the tenant. */
export interface Found {
  file: File;
  source: string;
}

/** Collects what a file or folder field holds. */
export function fromList(files: FileList | null): Found[] {
  return [...(files ?? [])].map((file) => ({ file, source: file.webkitRelativePath || file.name }));
}

/**
 * Walks what was dropped and hands files over in groups while it walks. Must be called inside the
 * drop event: the browser empties the transfer when the event is over.
 */
export async function fromDrop(
  transfer: DataTransfer,
  found: (files: Found[]) => void,
  unreadable: (source: string) => void,
): Promise<void> {
  const entries: FileSystemEntry[] = [];
  const plain: Found[] = [];
  for (const item of transfer.items) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry();
    const file = entry ? null : item.getAsFile();
    if (entry) entries.push(entry);
    else if (file) plain.push({ file, source: file.name });
  }
  if (plain.length > 0) found(plain);
  for (const entry of entries) await walk(entry, found, unreadable);
}

async function walk(
  entry: FileSystemEntry,
  found: (files: Found[]) => void,
  unreadable: (source: string) => void,
): Promise<void> {
  const source = entry.fullPath.replace(/^\//, '');
  try {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) =>
        (entry as FileSystemFileEntry).file(resolve, reject),
      );
      found([{ file, source }]);
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      // Browsers hand a folder out in portions; an empty one is the end.
      const portion = await new Promise<FileSystemEntry[]>((resolve, reject) =>
        reader.readEntries(resolve, reject),
      );
      if (portion.length === 0) return;
      for (const child of portion) await walk(child, found, unreadable);
    }
  } catch {
    unreadable(source);
  }
}
