/** An alert as the body of a webhook: the shape that Standard Webhooks recommends. */
import type { Alert } from './channel.ts';

export function alertBody({ kind, fact, subject, link }: Alert): string {
  return JSON.stringify({
    type: `${subject.kind}.${fact.type}`,
    timestamp: new Date(fact.at).toISOString(),
    data: {
      kind,
      message: fact.message,
      actor: fact.actor,
      seq: fact.seq,
      step: fact.step,
      details: fact.data,
      [subject.kind]: {
        id: subject.id,
        ...subject.own,
        createdBy: subject.createdBy,
        createdAt: new Date(subject.createdAt).toISOString(),
        link,
      },
    },
  });
}
