// LiveKit Agents for Node: the realtime session under an agent. Its plugin speaks the beta dialect.

import { initializeLogger, llm } from '@livekit/agents';
import { realtime } from '@livekit/agents-plugin-openai';
import { AudioFrame } from '@livekit/rtc-node';
import { z } from 'zod';
import { BYTES_PER_MS, GREETING, Microphone, OUTPUT, QUESTION, play } from '../stagecraft.mjs';

const HZ = 24_000;

async function talk({ url, scene, speech, spoken, seen }) {
  initializeLogger({ pretty: false, level: 'error' });
  const model = new realtime.RealtimeModel({ model: 'scripted', baseURL: `${url}/v1`, apiKey: 'none' });
  const session = model.session();
  session.on('error', ({ error }) => seen.errors.push(error.message));
  session.on('input_audio_transcription_completed', ({ transcript }) => seen.heard.push(transcript));
  const over = watch(session, seen, scene, speech, spoken);
  if (!spoken) await ask(session, scene === 'tool' ? QUESTION : GREETING, seen, scene);
  await over;
}

async function ask(session, content, seen, scene) {
  if (scene === 'tool') {
    const weather = llm.tool({
      description: 'How the weather is.',
      parameters: z.object({ city: z.string() }),
      execute: async () => OUTPUT,
    });
    await session.updateTools({ weather });
  }
  const context = session.chatCtx.copy();
  context.addMessage({ role: 'user', content });
  await session.updateChatCtx(context);
  await session.generateReply();
}

/** What happens until the answers of the scene are over, and what an agent's session would do about it. */
function watch(session, seen, scene, speech, spoken) {
  const answers = scene === 'barge_in' ? 2 : 1;
  let playing, bargedIn = scene !== 'barge_in';
  let microphone;
  if (spoken) {
    microphone = new Microphone(speech, (pcm) => {
      const samples = new Int16Array(new Uint8Array(pcm).buffer);
      session.pushAudio(new AudioFrame(samples, HZ, 1, samples.length));
    });
    microphone.speak();
  }
  session.on('input_speech_started', () => {
    if (!playing) return;
    seen.interrupted = true;
    session.interrupt();
    session.truncate({ messageId: playing.messageId, audioEndMs: Math.floor(playing.bytes / BYTES_PER_MS) });
  });

  async function listen(message) {
    playing = { messageId: message.messageId, bytes: 0 };
    const mine = playing;
    let text = '';
    const reading = (async () => {
      for await (const words of message.textStream) text += words;
    })();
    for await (const frame of message.audioStream) {
      mine.bytes += frame.data.byteLength;
      if (!bargedIn) microphone.speak();
      bargedIn = true;
    }
    await reading;
    playing = undefined;
    seen.said.push(text);
    seen.sound_ms.push(Math.floor(mine.bytes / BYTES_PER_MS));
  }

  async function carryOut(call) {
    seen.called.push([call.name, JSON.parse(call.args)]);
    const output = await session.tools[call.name].execute(JSON.parse(call.args));
    const context = session.chatCtx.copy();
    context.insert(llm.FunctionCallOutput.create({ callId: call.callId, name: call.name, output, isError: false }));
    await session.updateChatCtx(context);
    await session.generateReply();
  }

  return new Promise((resolve, reject) => {
    session.on('generation_created', async ({ messageStream, functionStream }) => {
      try {
        for await (const message of messageStream) await listen(message);
        for await (const call of functionStream) await carryOut(call);
      } catch (error) {
        reject(error);
      }
      if (seen.said.length < answers) return;
      microphone?.close();
      resolve();
    });
  });
}

await play(talk);
