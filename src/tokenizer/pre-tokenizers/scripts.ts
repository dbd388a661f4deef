/**
 * The Unicode script of a character, as the `UnicodeScripts` pre-tokenizer needs it.
 */

import { scriptDisagreement } from "../normalizers/unicode-versions.ts";

/** Script names in the order in which they are tried, commonest first. */
const names: readonly string[] = (
  "Latin Common Han Cyrillic Arabic Greek Hebrew Devanagari Hangul Thai Hiragana Katakana Bengali " +
  "Tamil Telugu Kannada Malayalam Gujarati Gurmukhi Oriya Sinhala Myanmar Khmer Lao Tibetan " +
  "Georgian Armenian Ethiopic Mongolian Inherited Adlam Ahom Anatolian_Hieroglyphs Avestan " +
  "Balinese Bamum Bassa_Vah Batak Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid " +
  "Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Coptic Cuneiform " +
  "Cypriot Cypro_Minoan Deseret Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic " +
  "Glagolitic Gothic Grantha Gunjala_Gondi Hanifi_Rohingya Hanunoo Hatran Imperial_Aramaic " +
  "Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kayah_Li Kharoshthi " +
  "Khitan_Small_Script Khojki Khudawadi Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian " +
  "Mahajani Makasar Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek " +
  "Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mro Multani Nabataean " +
  "Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian " +
  "Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic " +
  "Old_Uyghur Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician " +
  "Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sogdian " +
  "Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet " +
  "Takri Tangsa Tangut Thaana Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi " +
  "Zanabazar_Square"
).split(" ");

let expressions: (readonly [string, RegExp])[] | undefined;
const known: Map<number, string | undefined> = new Map();

/** The script of a character; kana are Han, a space and unassigned characters have none. */
export function scriptOf(codePoint: number): string | undefined {
  if (codePoint === 0x20) return undefined;
  if (known.has(codePoint)) return known.get(codePoint);
  expressions ??= names.map((name) => [name, new RegExp(`\\p{Script=${name}}`, "u")] as const);
  const character = String.fromCodePoint(codePoint);
  const raw = expressions.find(([, expression]) => expression.test(character))?.[0];
  const isKana = raw === "Hiragana" || raw === "Katakana" || codePoint === 0x30fc;
  const isKnown = !scriptDisagreement.has(codePoint);
  const script = isKana ? "Han" : isKnown ? raw : undefined;
  if (known.size < 100_000) known.set(codePoint, script);
  return script;
}
