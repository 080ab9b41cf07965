import { z } from 'zod';

export const iri = z.string().min(1).max(2048);
export const timestamp = z.iso.datetime({ offset: true });
/** Any JSON object: a policy or a catalog as the Dataspace Protocol writes it. */
export const jsonObject = z.record(z.string(), z.unknown());
