/**
 * Tells a channel of Slack about fleet rollouts and migrations: ends, ways back, and whatever needs a person. The first
 * message of each stands in the channel, the later ones below it and in the channel too. Each is posted once.
 */
import { TryLater } from '../../app/deliver.ts';
import type { News } from '../../app/news.ts';
import { escapeSlack, fleetStanding, migrationStanding, told } from '../../app/slack-words.ts';
import { fleetTitle, migrationTitle } from '../../app/subject.ts';
import type { Fleet } from '../../domain/fleet/fleet.ts';
import type { Migration } from '../../domain/migration/migration.ts';
import type { Rendered } from './slack-blocks.ts';
import { context, section } from './slack-blocks.ts';
import type { PostOptions } from './slack-once.ts';
import { BUSY, postOnce, standingOf } from './slack-once.ts';

/** What the news is about, as people know it. */
export interface NewsSubject {
  /** Not escaped: "production/myapp through 3 clusters". */
  readonly title: string;
  /** "paused at wave 1 of 2 (first)". */
  readonly standing: string;
  readonly createdBy: string;
  /** Its page; null: there is none. */
  readonly link: string | null;
}

export const fleetNews = (fleet: Fleet, link: string | null): NewsSubject => ({
  title: fleetTitle(fleet),
  standing: fleetStanding(fleet),
  createdBy: fleet.createdBy,
  link,
});
export const migrationNews = (migration: Migration, link: string | null): NewsSubject => ({
  title: migrationTitle(migration),
  standing: migrationStanding(migration),
  createdBy: migration.createdBy,
  link,
});

/** `subjectOf`: null: it was deleted, and there is nothing to tell. */
export async function tellNews(
  options: PostOptions,
  { id, about, message }: News,
  subjectOf: (about: string) => Promise<NewsSubject | null>,
): Promise<void> {
  const subject = await subjectOf(about);
  if (subject === null || (await standingOf(options, about, id)) !== null) return;
  const thread = async (): Promise<string | null> => {
    // This one among them: its key is claimed. Which one was first stays so, whoever asks and whenever.
    const [first] = await options.messages.of(about);
    if (first === undefined || first.key === id) return null;
    if (first.ts === null) throw new TryLater(`the first message about ${about} is being posted`, BUSY, false);
    return first.ts;
  };
  await postOnce(options, thread, about, id, (below) => render(about, message, subject, below !== null));
}

function render(
  id: string,
  message: string,
  { title, standing, createdBy, link }: NewsSubject,
  reply: boolean,
): Rendered {
  const head = `*${told(title, 300)}*: ${told(standing, 200)}`;
  const where = link === null ? `\`${escapeSlack(id)}\`` : `<${escapeSlack(encodeURI(link))}|${escapeSlack(id)}>`;
  return {
    text: `${told(title, 300)}: ${told(message, 600)}`,
    blocks: [section(head), section(told(message, 2500)), context(`${where} · started by ${told(createdBy, 100)}`)],
    asks: false,
    broadcast: reply,
  };
}
