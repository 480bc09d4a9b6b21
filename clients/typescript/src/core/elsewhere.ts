/** Whether a variable that was exported still leads to where it led, whatever an app has made of its text. */

/**
 * Whether what reads the variable now goes to another place: another host, port or path of a URL, or a text that what
 * was exported is no longer part of.
 *
 * The name of a driver, another user, and settings after the question mark lead to the same database.
 */
export function isElsewhere(exported: string, now: string | undefined): boolean {
  if (now === undefined) return true;
  const [before, after] = [named(exported), named(now)];
  return before.includes('://') ? place(before) !== place(after) : !after.includes(before);
}

/** Host, port and path. */
function place(url: string): string {
  return url.replace(/^(?:[a-z][\w+.-]*:)*\/+(?:[^/?#]*@)?/i, '').replace(/\/*(?:[?#].*)?$/s, '');
}

/** The loopback interface has several names. */
function named(text: string): string {
  return text.replace(/127\.0\.0\.1|\[::1\]/g, 'localhost');
}
