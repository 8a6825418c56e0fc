/** Which names and links an archive may hold so that unpacking it stays inside its directory. Pure. */

/**
 * The path of an entry within the archive, without `./` in front or `/` behind: '' for the directory itself. Undefined if
 * it is absolute, climbs with `..`, or is no name at all.
 */
export function entryPath(name: string): string | undefined {
  if (name === '' || name.startsWith('/') || name.includes('\0')) return undefined;
  // Where these separate or name drives, they would do so behind our back.
  if (process.platform === 'win32' && /[\\:]/.test(name)) return undefined;
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? undefined : parts.join('/');
}

/** The directories above a path, outermost first. */
export function parentsOf(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

/** The form in which two paths are equal if any file system takes them for one. */
export function folded(path: string): string {
  return path.normalize('NFC').toLowerCase();
}

/**
 * Why a symbolic link could lead outside, or undefined if it cannot. `isLink` tells the links of the same archive by their
 * folded path: a target that goes on behind another link is refused, because where that leads is not seen from the text.
 */
export function linkDanger(
  path: string,
  target: string,
  isLink: (folded: string) => boolean,
): string | undefined {
  if (target === '' || target.includes('\0')) return 'has no target';
  if (target.startsWith('/')) return 'points to an absolute path';
  if (process.platform === 'win32' && /[\\:]/.test(target)) return 'points to an absolute path';
  const place = path.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    if (place.length > 0 && isLink(folded(place.join('/')))) return 'points through another link';
    if (part !== '..') place.push(part);
    else if (place.pop() === undefined) return 'points outside the directory';
  }
  return undefined;
}
