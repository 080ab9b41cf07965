/** The 25 usage-control classes of the International Data Spaces. */
export * from './classes.ts';
export { idsOffer } from './ids-offer.ts';
