/** What the statements of a text do to the transaction that they are in. */

export type Effect = 'begin' | 'commit' | 'rollback' | 'nested' | 'in blocks' | 'isolation' | 'unholdable' | 'unheard' | 'other';

export interface Statement {
  readonly does: Effect;
  /** Its first words, in lower case; whatever else there is stands as one sign. */
  readonly words: string;
}

const WORK = '(?: work| transaction)?';
const LEVEL = 'isolation level (?:serializable|repeatable read|read committed|read uncommitted)';
const MODE = `(?: ${LEVEL}| read only| read write|(?: not)? deferrable)`;
const BEGIN = `^(?:begin${WORK}|start transaction)(?=(?:${MODE}(?: \\?)?)*$)`;
const CHAIN = '(?: and no chain)?$';

/** What is not quite as it should be is `other`: the server tells what is wrong with it. */
const EFFECTS: readonly (readonly [RegExp, Effect])[] = [
  [new RegExp(`${BEGIN}.* isolation level (?!read committed)`), 'isolation'],
  [/^set (?:transaction\b.* isolation level (?!read committed)|session characteristics\b)/, 'isolation'],
  [new RegExp(BEGIN), 'begin'],
  [new RegExp(`^(?:commit|end|rollback|abort)${WORK} and chain$|^prepare transaction\\b`), 'unholdable'],
  [new RegExp(`^(?:commit|end)${WORK}${CHAIN}`), 'commit'],
  [new RegExp(`^(?:rollback|abort)${WORK}${CHAIN}`), 'rollback'],
  [new RegExp(`^(?:savepoint|release|rollback${WORK} to)\\b`), 'nested'],
  [/^(?:lock|declare(?!.* with hold))\b/, 'in blocks'],
  [/^listen\b/, 'unheard'],
];

/**
 * What PostgreSQL's own lexer would take together, as far as it matters here: a `;` in any of these ends no statement.
 * Two strings with nothing between them are one with a quote in it, which comes to the same.
 */
const TOKENS =
  /(?<space>(?:\s|--[^\n\r]*)+)|(?<comment>\/\*)|[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'[^']*'|"[^"]*"|(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|\$(?<tag>(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?)\$[\s\S]*?\$\k<tag>\$|(?<end>;)|[\s\S]/gy;

const ROUTINE = /^create (?:or replace )?(?:function|procedure) /;
const DEPTH: Readonly<Record<string, number>> = { begin: 1, case: 1, end: -1 };
/** No BEGIN has more words. */
const ENOUGH = 40;

/** Each statement in `text`, in their order. */
export function statements(text: string): Statement[] {
  return [...split(text)].map((words) => ({ does: EFFECTS.find(([pattern]) => pattern.test(words))?.[1] ?? 'other', words }));
}

function* split(text: string): Generator<string> {
  let words: string[] = [];
  let routine = false;
  let depth = 0; // in the body of a routine: BEGIN ATOMIC ... END
  TOKENS.lastIndex = 0;
  for (let token = TOKENS.exec(text); token !== null; token = TOKENS.exec(text)) {
    const { space, comment, word, end } = token.groups ?? {};
    if (space !== undefined) continue;
    if (comment !== undefined) {
      TOKENS.lastIndex = afterComment(text, TOKENS.lastIndex);
    } else if (end !== undefined && depth === 0) {
      if (words.length > 0) yield words.join(' ');
      words = [];
      routine = false;
    } else {
      const next = word?.toLowerCase() ?? '?';
      if (routine) depth += DEPTH[next] ?? 0;
      if (words.length < ENOUGH) words.push(next);
      routine ||= words.length < 6 && ROUTINE.test(words.join(' ') + ' ');
    }
  }
  if (words.length > 0) yield words.join(' ');
}

/** Comments can be in comments. */
function afterComment(text: string, start: number): number {
  const signs = /\/\*|\*\//g;
  signs.lastIndex = start;
  let depth = 1;
  for (let sign = signs.exec(text); sign !== null; sign = signs.exec(text)) {
    depth += sign[0] === '/*' ? 1 : -1;
    if (depth === 0) return signs.lastIndex;
  }
  return text.length;
}
