/** Words that are in nearly every English text: the 33 that Lucene's English analyzer leaves out. */
export const englishStopWords: readonly string[] = (
  "a an and are as at be but by for if in into is it no not of on or such that the their then " +
  "there these they this to was will with"
).split(" ");
