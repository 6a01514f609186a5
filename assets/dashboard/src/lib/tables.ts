// What a table's cells look like to a person. Pure, so that it can be tested.
import type { DocumentTable, TableCell } from './types.ts';

/** The cell as the document writes it. */
export function cellText(cell: TableCell): string {
  if (cell === null) return '';
  if (typeof cell === 'boolean') return cell ? 'TRUE' : 'FALSE';
  if (typeof cell !== 'object') return String(cell);
  return 'number' in cell ? cell.text : (cell.text ?? cell.date.replace('T', ' '));
}

/** Numbers stand at the right, under each other. */
export function isNumber(cell: TableCell): boolean {
  return typeof cell === 'number' || (typeof cell === 'object' && cell !== null && 'number' in cell);
}

export function tableName(table: DocumentTable): string {
  const name = table.caption ?? table.name;
  return name ? `${table.number}. ${name}` : `Table ${table.number}`;
}

/** The names of all columns, with the letters of a spreadsheet where they have none. */
export function columnNames(table: DocumentTable): string[] {
  return Array.from({ length: table.columns }, (_, at) => table.header[at] || columnLetters(at));
}

export function columnLetters(at: number): string {
  const rest = Math.floor(at / 26);
  return (rest > 0 ? columnLetters(rest - 1) : '') + String.fromCharCode(65 + (at % 26));
}
