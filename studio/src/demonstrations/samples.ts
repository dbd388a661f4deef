/** Texts that demonstrations begin with; written for this page. */

export const story = `The keeper of the lighthouse counted the ships every evening.
She wrote the name of every ship into a long grey book.
When a ship came back, the keeper of the lighthouse lit a second lamp.
When a ship did not come back, she left the line in the book open.
Every evening the long grey book lay open on the table by the window.
Some of the ships came back after a year, and some of them never did.
The keeper of the lighthouse knew the name of every ship by heart.
In the spring she counted the ships again, and wrote their names.`;

/** The story in another language. */
export const germanStory = `Die Wärterin des Leuchtturms zählte an jedem Abend die Schiffe.
Sie schrieb den Namen jedes Schiffes in ein langes graues Buch.
Wenn ein Schiff zurückkam, zündete die Wärterin des Leuchtturms eine zweite Lampe an.
Wenn ein Schiff nicht zurückkam, ließ sie die Zeile in dem Buch offen.
An jedem Abend lag das lange graue Buch offen auf dem Tisch am Fenster.
Manche der Schiffe kamen nach einem Jahr zurück, und manche von ihnen niemals.
Die Wärterin des Leuchtturms kannte den Namen jedes Schiffes auswendig.
Im Frühling zählte sie die Schiffe wieder und schrieb ihre Namen auf.`;

export const english = `the house is small
the house is old
the old ship is small
the ship is in the harbour
the harbour is old
a small ship is in the harbour
the book is in the house
the book is old
a small house is in the harbour
the keeper is in the house
the keeper counts the ships
the ship is old and the book is small
the keeper reads the old book
the keeper is old and reads`;

export const german = `das haus ist klein
das haus ist alt
das alte schiff ist klein
das schiff ist im hafen
der hafen ist alt
ein kleines schiff ist im hafen
das buch ist im haus
das buch ist alt
ein kleines haus ist im hafen
der wärter ist im haus
der wärter zählt die schiffe
das schiff ist alt und das buch ist klein
der wärter liest das alte buch
der wärter ist alt und liest`;

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

export const minutes = `Minutes of the harbour council, first of March. Present were the harbour master, the pilot, the keeper of the lighthouse and two captains. The council heard the reports of the winter, which was mild, and thanked the crews that had cleared the quay of ice. The accounts were read and found to be in order. The fees for moorings stay as they were last year. A captain asked for better ropes at the eastern berths, and the harbour master promised to look at them before Easter. At the end the keeper of the lighthouse said that the second lamp smokes, and the council granted her forty crowns for new glass and a hundred litres of oil.
---
Minutes of the harbour council, third of June. Present were the harbour master, the pilot, the keeper of the lighthouse and two captains. The council heard the reports of the spring, which was stormy, and thanked the crews that had searched for the missing boats. The accounts were read and found to be in order. The fees for moorings stay as they were last year. A captain asked when the crane will be repaired, and the harbour master answered that the chain is ordered. At the end the pilot told of a sandbank that grew across the northern channel, and the council decided that two red buoys are laid there before the herring season.
---
Minutes of the harbour council, ninth of September. Present were the harbour master, the pilot, the keeper of the lighthouse and two captains. The council heard the reports of the summer, which was dry, and thanked the crews that had painted the sheds. The accounts were read and found to be in order. The fees for moorings stay as they were last year. A captain asked for a place where nets can be dried, and the meadow behind the chapel was named. At the end the council heard of a quarrel about a stolen dinghy, and the boy who had taken it was told to scrub the market stalls for a month.`;

export const minutesQuestions = `1: money for glass and oil
2: buoys at the sandbank in the channel
3: punishment for the stolen dinghy
3: where can nets be dried`;

/** A rhyme in which lines come again. */
export const refrain = `The old ship comes home, the old ship comes home.
The sea is wide and the old ship comes home.
The sea is cold and the old ship comes home.
The lamp is lit and the old ship comes home.`;
