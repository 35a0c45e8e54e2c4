// Ways to another tenant's place that lie in the text of spec.path alone; what the words in angle brackets stand for:
// tenancy-table.ts. Unicode that looks like something else is written by its number.
import type { Escape, Freely } from "./tenancy-table.ts";

/** `expected`: reasons that are right under the policy, with a bar between them. */
type PathRow = readonly [title: string, path: string, expected: string, freely: Freely, more?: Partial<Escape>];

const v1Place = { victim: "<v1>/<b>/<id>" };
const nested = { victim: "<nest>/<b>/data/<id>" };
const rows: readonly PathRow[] = [
  ["the plain path, KV v2", "<v2>/data/<b>/<id>", "PolicyDenied", "reaches"],
  ["the plain path, KV v1", "<v1>/<b>/<id>", "PolicyDenied", "reaches", v1Place],
  ["the plain path without data/", "<v2>/<b>/<id>", "PolicyDenied", "reaches"],
  ["a mount of its own below a common name", "<nest>/<b>/data/<id>", "PolicyDenied", "reaches", nested],
  ["the same without data/", "<nest>/<b>/<id>", "PolicyDenied", "reaches", nested],

  // Slashes and dots
  ["slashes in front, at the end and double ones", "//<v2>//data///<b>//<id>//", "PolicyDenied", "reaches"],
  ["double slashes on KV v1", "/<v1>///<b>/<id>/", "PolicyDenied", "reaches", v1Place],
  ["up from the own place", "<v2>/data/<a>/../<b>/<id>", "InvalidPath|Refused", "fails"],
  ["up from the own place, KV v1", "<v1>/<a>/../<b>/<id>", "InvalidPath|Refused", "fails", v1Place],
  ["up behind a double slash", "<v2>/data/<a>//..//<b>/<id>", "InvalidPath|Refused", "fails"],
  ["up and down again by dots", "<v2>/data/<a>/./.././<b>/<id>", "InvalidPath|Refused", "fails"],
  ["a dot in between", "<v2>/data/./<b>/<id>", "InvalidPath|Refused", "fails"],
  ["up from the own nested mount", "<nest>/<a>/../<b>/data/<id>", "InvalidPath|Refused", "fails", nested],
  ["three dots", "<v2>/data/<a>/.../<b>/<id>", "Synced", "fails"],
  ["backslashes", "<v2>/data/<a>\\..\\<b>\\<id>", "PolicyDenied", "fails"],
  ["a path parameter", "<v2>/data/<a>/..;/<b>/<id>", "Synced", "fails"],

  // Encodings
  ["dots, percent-encoded", "<v2>/data/<a>/%2e%2e/<b>/<id>", "Synced", "fails"],
  ["dots, encoded twice", "<v2>/data/<a>/%252e%252e/<b>/<id>", "Synced", "fails"],
  ["dots, encoded overlong", "<v2>/data/<a>/%c0%ae%c0%ae/<b>/<id>", "Synced", "fails"],
  ["a slash, percent-encoded", "<v2>/data/<a>/..%2F<b>/<id>", "Synced", "fails"],
  ["all slashes of the way up encoded", "<v2>/data/<a>%2F..%2F<b>/<id>", "PolicyDenied", "fails"],
  ["the other's name behind an encoded slash", "<v2>/data%2F<b>/<id>", "PolicyDenied", "fails"],
  ["a query string", "<v2>/data/<a>/<id>?x=/../<b>", "InvalidPath|Synced|Refused", "fails"],
  ["a fragment", "<v2>/data/<b>/<id>#", "PolicyDenied", "fails"],

  // Characters that look like others, or like nothing
  ["full-width solidus", "<v2>/data/<a>\uFF0F..\uFF0F<b>/<id>", "PolicyDenied", "fails"],
  ["division slash", "<v2>/data/<a>\u2215..\u2215<b>/<id>", "PolicyDenied", "fails"],
  ["one-dot leaders", "<v2>/data/<a>/\u2024\u2024/<b>/<id>", "Synced", "fails"],
  ["a two-dot leader", "<v2>/data/<a>/\u2025/<b>/<id>", "Synced", "fails"],
  ["full-width full stops", "<v2>/data/<a>/\uFF0E\uFF0E/<b>/<id>", "Synced", "fails"],
  ["a combining character behind the name", "<v2>/data/<b>\u0301/<id>", "PolicyDenied", "fails"],
  ["a zero-width space in the name", "<v2>/data/<b>\u200B/<id>", "PolicyDenied", "fails"],
  ["a soft hyphen in the name", "<v2>/data/\u00AD<b>/<id>", "PolicyDenied", "fails"],
  ["a right-to-left override", "<v2>/data/\u202E<b>/<id>", "PolicyDenied", "fails"],
  ["a byte order mark", "\uFEFF<v2>/data/<b>/<id>", "PolicyDenied", "fails"],
  ["a Cyrillic letter in the own name", "<v2>/data/t\u0435am<a:4>/<id>", "PolicyDenied", "fails"],
  ["a full-width letter in the other's name", "<v2>/data/\uFF54<b:1>/<id>", "PolicyDenied", "fails"],
  [
    "the same accent, composed otherwise",
    "<v2>/data/cafe\u0301/<id>",
    "PolicyDenied",
    "reaches",
    { victim: "<v2>/data/cafe\u0301/<id>" },
  ],

  // Case and blanks
  ["the other case", "<v2>/data/<A>/<id>", "PolicyDenied", "reaches", { victim: "<v2>/data/<A>/<id>" }],
  ["the mount in the other case", "<V2>/data/<b>/<id>", "PolicyDenied", "fails"],
  ["a blank behind the name", "<v2>/data/<b> /<id>", "PolicyDenied", "fails"],
  ["a blank in front of all", " <v2>/data/<b>/<id>", "PolicyDenied", "fails"],
  ["a blank behind all", "<v2>/data/<b>/<id> ", "PolicyDenied", "fails"],
  ["a no-break space behind the name", "<v2>/data/<b>\u00A0/<id>", "PolicyDenied", "fails"],
  ["a tab behind the name", "<v2>/data/<b>\t/<id>", "PolicyDenied|Refused", "fails"],
  ["a line break", "<v2>/data/<a>/\r\n../<b>/<id>", "InvalidPath|Refused", "fails"],

  // Vault's own addresses
  ["data twice", "<v2>/data/data/<b>/<id>", "PolicyDenied", "fails"],
  ["the metadata", "<v2>/metadata/<b>/<id>", "PolicyDenied", "fails"],
  ["the address that deletes", "<v2>/delete/<b>/<id>", "PolicyDenied", "fails"],
  ["the address that destroys", "<v2>/destroy/<b>/<id>", "PolicyDenied", "fails"],
  [
    "a mount whose own name ends in data",
    "<deep>/data/<b>/<id>",
    "PolicyDenied",
    "reaches",
    { victim: "<deep>/data/<b>/<id>" },
  ],
  ["sys behind a slash", "/sys/policies/acl/<id>", "PolicyDenied", "fails"],
  ["another engine's mount", "cubbyhole/<id>", "PolicyDenied", "fails"],

  // What stands in a pattern is no pattern in a path
  ["a wildcard as a segment", "<v2>/data/*/<id>", "PolicyDenied", "fails"],
  ["a template as a segment", "<v2>/data/{{namespace}}/<id>", "PolicyDenied", "fails"],
  [
    "below the one segment that is allowed",
    "<v2>/data/by-label/<label>/deep/<id>",
    "PolicyDenied",
    "reaches",
    { victim: "<v2>/data/by-label/<label>/deep/<id>" },
  ],
  [
    "a longer name that begins like the own",
    "<v2>/data/<ab>/<id>",
    "PolicyDenied",
    "reaches",
    { victim: "<v2>/data/<ab>/<id>" },
  ],
  [
    "the own name with something behind it",
    "<v2>/data/<a>-x/<id>",
    "PolicyDenied",
    "reaches",
    { victim: "<v2>/data/<a>-x/<id>" },
  ],
];

/** By the path. */
export const pathEscapes: readonly Escape[] = rows.map(([title, path, expected, freely, more]) => ({
  title,
  spec: { path },
  expected: expected.split("|"),
  freely,
  ...more,
}));
