/** The coordinator serves uPlot's ESM build beside the page's modules under this name. */
export { default } from 'uplot';
