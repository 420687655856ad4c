// The official Node SDK, as its README uses it. The same lines on stdin and stdout as peer.c.
"use strict";
const readline = require("readline");
const { TrophyApiClient } = require("@trophyso/node");

const base = process.argv[2] + "/v1";
const trophy = new TrophyApiClient({
    apiKey: "app_bench.0123456789abcdef0123456789abcdef",
    environment: { api: base, admin: base },
});

async function main() {
    let number = 0;
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const count = Number(line.split(" ")[0]);
        const cpu = process.cpuUsage();
        const wall = process.hrtime.bigint();
        for (let i = 0; i < count; i++) {
            await trophy.metrics.event("words-written", {
                user: { id: String(1000000 + number++) },
                value: 750,
                attributes: { genre: "poem" },
            });
        }
        const took = Number(process.hrtime.bigint() - wall);
        const used = process.cpuUsage(cpu);
        console.log(JSON.stringify({ wall_ns: took, cpu_ns: (used.user + used.system) * 1000,
            rss_kb: Math.round(process.memoryUsage().rss / 1024) }));
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
