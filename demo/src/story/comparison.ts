import { areaUnderRoc, type SessionPlan } from '@foedus/fl-core';
import { startTrainer, type Trainer } from '@foedus/fl-client';
import { airports, home, type Space } from '../space/layout.ts';
