// OpenAI's Agents SDK for Node: a session keeps the history, interrupts itself, and calls the agent's functions.

import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents/realtime';
import { z } from 'zod';
import { BYTES_PER_MS, GREETING, Microphone, OUTPUT, QUESTION, play } from '../stagecraft.mjs';

async function talk({ url, scene, speech, spoken, seen }) {
  const weather = tool({
    name: 'weather',
    description: 'How the weather is.',
    parameters: z.object({ city: z.string() }),
    execute: async (given) => {
      seen.called.push(['weather', given]);
      return OUTPUT;
    },
  });
  const agent = new RealtimeAgent({
    name: 'Antiphon',
    instructions: 'Be brief.',
    tools: scene === 'tool' ? [weather] : [],
  });
  const session = new RealtimeSession(agent, {
    transport: 'websocket',
    model: 'scripted',
    config: { outputModalities: [spoken ? 'audio' : 'text'] },
  });
  const bytesOf = {};
  let microphone, bargedIn = scene !== 'barge_in', answers = spoken && scene !== 'voice' ? 2 : scene === 'tool' ? 2 : 1;
  const over = new Promise((resolve) => {
    session.on('error', ({ error }) => seen.errors.push(JSON.stringify(error)));
    session.on('audio_interrupted', () => (seen.interrupted = true));
    session.transport.on('audio', ({ data }) => {
      const item = session.transport.currentItemId;
      bytesOf[item] = (bytesOf[item] ?? 0) + data.byteLength;
      if (!bargedIn) microphone.speak();
      bargedIn = true;
    });
    session.on('transport_event', (event) => {
      if (event.type === 'response.done' && !--answers) resolve();
    });
  });
  await session.connect({ apiKey: 'none', url: `${url.replace('http', 'ws')}/v1/realtime?model=scripted` });
  if (spoken) {
    microphone = new Microphone(speech, (pcm) => session.sendAudio(new Uint8Array(pcm).buffer));
    microphone.speak();
  } else {
    session.sendMessage(scene === 'tool' ? QUESTION : GREETING);
  }
  await over;
  microphone?.close();
  for (const item of session.history) {
    if (item.type !== 'message') continue;
    const [part] = item.content;
    if (item.role === 'user' && part.type === 'input_audio') seen.heard.push(part.transcript);
    if (item.role === 'assistant') {
      seen.said.push(part.transcript ?? part.text);
      seen.sound_ms.push(Math.floor((bytesOf[item.itemId] ?? 0) / BYTES_PER_MS));
    }
  }
  session.close();
}

await play(talk);
