/** The slash commands of the chat. */
import { JetonError } from "../../core/error.ts";
import { type Conversation, loadConversation, saveConversation } from "./conversation.ts";
import { suggest } from "./suggest.ts";

/** State of the chat between messages. */
export interface ChatState {
  readonly conversation: Conversation;
  /** How often the last message was answered again by `/regen`. */
  readonly attempt: number;
  readonly usesTemplate: boolean;
  /** Statistics of the last answer. */
  readonly statistics?: string;
}

/** The result of a command: the next state, undefined to leave; and a message to answer. */
export interface CommandResult {
  readonly next: ChatState | undefined;
  readonly message?: string;
}

type Note = (text: string) => Promise<void>;

interface ChatCommand {
  /** Shown by `/help`, with the argument. */
  readonly usage: string;
  readonly does: string;
  run(state: ChatState, argument: string, note: Note): Promise<CommandResult>;
}

const commands: Readonly<Record<string, ChatCommand>> = {
  "/help": {
    usage: "/help",
    does: "show this list",
    async run(state, _, note) {
      const width = Math.max(...Object.values(commands).map(({ usage }) => usage.length));
      const lines = Object.values(commands).map(
        ({ usage, does }) => `${usage.padEnd(width)}  ${does}`,
      );
      await note(lines.join("\n"));
      return { next: state };
    },
  },
  "/system": {
    usage: "/system [TEXT]",
    does: "set the system message for the next answers; without TEXT show it; /system - removes it",
    async run(state, argument, note) {
      if (!state.usesTemplate)
        throw chatError("chat-system-unsupported", "the model has no chat template");
      const { system, ...rest } = state.conversation;
      if (argument === "") {
        await note(system === undefined ? "no system message" : `system message: ${system}`);
        return { next: state };
      }
      const conversation = argument === "-" ? rest : { ...rest, system: argument };
      await note(argument === "-" ? "system message removed" : "system message set");
      return { next: { ...state, conversation } };
    },
  },
  "/regen": {
    usage: "/regen",
    does: "answer the last message again",
    async run(state) {
      const last = lastTurn(state);
      const next = { ...withoutLast(state), attempt: state.attempt + 1 };
      return { next, message: last.user };
    },
  },
  "/undo": {
    usage: "/undo",
    does: "remove the last message and its answer",
    async run(state, _, note) {
      await note(`removed: ${JSON.stringify(shorten(lastTurn(state).user))}`);
      return { next: { ...withoutLast(state), attempt: 0 } };
    },
  },
  "/clear": {
    usage: "/clear",
    does: "forget the conversation, keep the system message",
    async run(state, _, note) {
      await note("forgotten");
      return { next: { ...state, attempt: 0, conversation: { ...state.conversation, turns: [] } } };
    },
  },
  "/save": {
    usage: "/save FILE",
    does: "write the conversation to a JSON file",
    async run(state, argument, note) {
      const path = needFile("/save", argument);
      await saveConversation(path, state.conversation);
      await note(`saved: ${path}`);
      return { next: state };
    },
  },
  "/load": {
    usage: "/load FILE",
    does: "continue the conversation of a file that /save wrote",
    async run(state, argument, note) {
      const conversation = await loadConversation(needFile("/load", argument));
      const { length } = conversation.turns;
      await note(`loaded: ${length} turn${length === 1 ? "" : "s"}`);
      return { next: { ...state, attempt: 0, conversation } };
    },
  },
  "/stats": {
    usage: "/stats",
    does: "statistics of the last answer",
    async run(state, _, note) {
      await note(state.statistics ?? "no answer yet");
      return { next: state };
    },
  },
  "/quit": {
    usage: "/quit",
    does: "leave; Ctrl-D does the same",
    run: async () => ({ next: undefined }),
  },
};

/**
 * Runs a line that begins with a slash. A first word that is not in the form of a command, such as a
 * path, makes the line a message.
 *
 * @throws JetonError `chat-turn-missing`, `chat-file-missing`, `chat-system-unsupported`, and those of
 *   reading and writing files
 */
export async function runChatCommand(
  line: string,
  state: ChatState,
  note: Note,
): Promise<CommandResult> {
  const [, name, argument] = /^(\/[a-z]+)(?:\s+([\s\S]*))?$/.exec(line) ?? [];
  if (name === undefined) return { next: { ...state, attempt: 0 }, message: line };
  const command = commands[name];
  if (command !== undefined) return command.run(state, argument?.trim() ?? "", note);
  const near = suggest(name, Object.keys(commands));
  await note(`no command ${name}${near === undefined ? "; /help" : `; did you mean ${near}?`}`);
  return { next: state };
}

function lastTurn({ conversation }: ChatState): { readonly user: string } {
  const last = conversation.turns.at(-1);
  if (last === undefined) throw chatError("chat-turn-missing", "there is no message yet");
  return last;
}

function withoutLast(state: ChatState): ChatState {
  const { conversation } = state;
  return { ...state, conversation: { ...conversation, turns: conversation.turns.slice(0, -1) } };
}

function needFile(command: string, argument: string): string {
  if (argument !== "") return argument;
  throw chatError("chat-file-missing", `${command} needs a file: ${command} FILE`);
}

function chatError(code: string, message: string): JetonError {
  return new JetonError(message, { code });
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
