/** Names of files: made harmless when they come in, and written into a header when they go out. */
import { NAME_LENGTH_MAX } from '../schemas.ts';

/** What a file is called that has come without a usable name. */
const NAMELESS = 'file';
/** Longest ending that is kept when a long name is cut. */
const EXTENSION_LENGTH_MAX = 10;
/** Control characters, line separators, halves of surrogate pairs, and what turns the direction of writing. */
const UNSEEN =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;

/** The ending of a name without its dot, in lower case; empty when there is none. What follows the dot in `v1.2` is none. */
export function extensionOf(name: string): string {
  return /.\.((?=\d*[a-z])[a-z\d]+)$/is.exec(name)?.[1]?.toLowerCase() ?? '';
}

/**
 * The name without a path, without characters that are not seen or that turn the writing round, without dots and spaces
 * at its ends, and not longer than a name may be; its ending stays.
 */
export function cleanName(name: string): string {
  const bare = name
    .normalize('NFC')
    .replaceAll(UNSEEN, '')
    .replace(/^.*[/\\]/, '')
    .replace(/^[.\s]+|[.\s]+$/g, '');
  if (bare === '') return NAMELESS;
  if (bare.length <= NAME_LENGTH_MAX) return bare;
  const extension = extensionOf(bare).slice(0, EXTENSION_LENGTH_MAX);
  const ending = extension === '' ? '' : `.${extension}`;
  // Not in the middle of a surrogate pair.
  const kept = bare.slice(0, NAME_LENGTH_MAX - ending.length).replace(/[\ud800-\udbff]$/, '');
  return `${kept}${ending}`;
}

/** A name as browsers put it into a form: they escape quotes and line ends, and nothing else (HTML 4.10.21.8). */
export function formName(name: string): string {
  return name.replaceAll(/%0[AD]/gi, '').replaceAll('%22', '"');
}

/** `Content-Disposition` of a download (RFC 6266): a name in ASCII, and the whole one by RFC 8187. */
export function contentDisposition(name: string): string {
  const ascii = name.replaceAll(/[^\x20-\x7e]|["%\\]/g, '_');
  const encoded = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
