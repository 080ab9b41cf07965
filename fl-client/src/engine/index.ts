export * from './engine.ts';
export { createJaxWasmEngine, createJaxWebGpuEngine } from './jax.ts';
export { createTfjsEngine, createTfjsNodeGpuEngine, type TensorFlowModule } from './tfjs.ts';
export * from './select.ts';
