/** WebGPU in Node: Dawn by the optional package `webgpu`, put where jax-js looks for it (`navigator.gpu`). */
import { existsSync } from 'node:fs';
import { FoedusError } from '@foedus/connector/errors';

export interface WebGpuAdapter {
  /** Name of the card and its driver, as the driver says. */
  readonly description: string;
  /** A software renderer: works, but is slower than WebAssembly. */
  readonly software: boolean;
  /** The error for an adapter that gave no usable device. */
  unusable(): FoedusError;
}

/** The part of WebGPU's types that is used here. */
interface Gpu {
  requestAdapter(options?: { powerPreference?: string }): Promise<{
    readonly info: GpuAdapterInfo;
  } | null>;
}
interface GpuAdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter?: boolean;
}

const NO_ADAPTER =
  'No graphics adapter was found. WebGPU needs a GPU with a Vulkan (Linux), Metal (macOS) or Direct3D 12 (Windows) ' +
  'driver; in a container, the device and the driver must be passed into it.';

/**
 * Makes `navigator.gpu` exist, once a thread, and asks it for an adapter.
 *
 * @throws FoedusError `engine-unavailable` with the reason in plain words
 */
export async function provideWebGpu(): Promise<WebGpuAdapter> {
  const gpu = await gpuOfThisThread();
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw unavailable(NO_ADAPTER);
  }
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const name = description || [vendor, architecture, device].filter(Boolean).join(' ') || 'unnamed adapter';
  return {
    description: name,
    software: isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe/i.test(`${name} ${architecture} ${device}`),
    unusable: () =>
      unavailable(`The graphics adapter ${name} gives no device that jax-js can use: its driver may be too old.`),
  };
}

async function gpuOfThisThread(): Promise<Gpu> {
  const present = (navigator as { gpu?: Gpu }).gpu;
  if (present !== undefined) return present;
  if (!mayHaveGraphics()) throw unavailable(NO_ADAPTER);
  const dawn = await import('webgpu').catch((cause: unknown) => {
    throw unavailable('The package webgpu is not installed, or not for this platform: npm install webgpu.', cause);
  });
  Object.assign(globalThis, dawn.globals);
  const gpu = dawn.create([]) as unknown as Gpu;
  Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true, enumerable: true });
  return gpu;
}

/**
 * On Linux a graphics driver opens one of these devices, or the Vulkan loader was pointed at a driver that needs none.
 * Without either, Dawn (130 MB of it) would be loaded only to find nothing and to say so on stderr.
 */
const mayHaveGraphics = (): boolean =>
  process.platform !== 'linux' ||
  ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES', 'VK_ADD_DRIVER_FILES'].some((name) => process.env[name] !== undefined) ||
  ['/dev/dri', '/dev/nvidiactl', '/dev/dxg', '/dev/kfd'].some((device) => existsSync(device));

function unavailable(message: string, cause?: unknown): FoedusError {
  return new FoedusError('engine-unavailable', message, { cause });
}
