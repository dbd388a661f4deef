/** Texts that demonstrations begin with; written for this page. */

export const story = `The keeper of the lighthouse counted the ships every evening.
She wrote the name of every ship into a long grey book.
When a ship came back, the keeper of the lighthouse lit a second lamp.
When a ship did not come back, she left the line in the book open.
Every evening the long grey book lay open on the table by the window.
Some of the ships came back after a year, and some of them never did.
The keeper of the lighthouse knew the name of every ship by heart.
In the spring she counted the ships again, and wrote their names.`;

export const english = `the house is small
the house is old
the old ship is small
the ship is in the harbour
the harbour is old
a small ship is in the old harbour
the book is in the house
the old book is small`;

export const german = `das haus ist klein
das haus ist alt
das alte schiff ist klein
das schiff ist im hafen
der hafen ist alt
ein kleines schiff ist im alten hafen
das buch ist im haus
das alte buch ist klein`;

export const snippets = `function sortByName(items) { return items.toSorted((a, b) => a.name.localeCompare(b.name)); }
---
async function readJsonFile(path) { return JSON.parse(await fs.readFile(path, "utf8")); }
---
def parse_html_page(text): return BeautifulSoup(text, "html.parser")
---
const isPrime = (n) => n > 1 && ![...Array(n).keys()].slice(2).some((d) => n % d === 0);
---
class HttpRetryPolicy { nextDelay(attempt) { return Math.min(30_000, 2 ** attempt * 100); } }`;

export const facts = `The keeper of the lighthouse counts the vessels every evening.
A harbour master assigns berths and collects fees.
Bread is baked before the sun rises.
The captain steers by the stars when the compass fails.
Fishing boats return with the tide.
The library lends books for three weeks.
A physician visits the crew after a long voyage.
Grain is stored in dry towers near the river.`;
