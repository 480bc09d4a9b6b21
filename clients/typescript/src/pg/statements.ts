/** What a statement does to the transaction that it is in. */

export type Effect = 'begin' | 'commit' | 'rollback' | 'isolation' | 'other';

const COMMENTS = /^(?:\s+|--[^\n]*\n|\/\*[\s\S]*?\*\/)+/;
const EFFECTS: readonly (readonly [RegExp, Effect])[] = [
  [/^(?:begin|start\s+transaction)\b[\s\S]*\b(?:isolation\s+level\s+(?!read\s+committed)|read\s+only)/i, 'isolation'],
  [/^set\s+transaction\s+isolation\s+level\s+(?!read\s+committed)/i, 'isolation'],
  [/^(?:begin|start\s+transaction)\b/i, 'begin'],
  [/^(?:commit|end)\b(?!\s+prepared)/i, 'commit'],
  [/^(?:rollback|abort)\b(?!\s+(?:work\s+|transaction\s+)?to\b|\s+prepared)/i, 'rollback'],
];

/** The effect of the statement that `text` begins with. */
export function effect(text: string): Effect {
  const statement = text.replace(COMMENTS, '');
  return EFFECTS.find(([pattern]) => pattern.test(statement))?.[1] ?? 'other';
}
