/** What `open` gives, opened by the first call; after a failure the next call tries again. */
export function openOnce<Argument, Opened>(
  open: (argument: Argument) => Promise<Opened>,
): (argument: Argument) => Promise<Opened> {
  let opened: Promise<Opened> | undefined;
  return (argument) => {
    if (!opened) {
      opened = open(argument);
      opened.catch(() => {
        opened = undefined;
      });
    }
    return opened;
  };
}
