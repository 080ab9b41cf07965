// @peculiar/x509 finds its parts by decorators: their metadata must be there before it is loaded.
// oxlint-disable-next-line import/no-unassigned-import
import 'reflect-metadata';

export * from '@peculiar/x509';
