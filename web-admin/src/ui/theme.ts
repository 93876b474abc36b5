import {
  ActionIcon,
  Alert,
  Badge,
  Button,
  type CSSVariablesResolver,
  createTheme,
  Input,
  type MantineColorsTuple,
  Paper,
  Switch,
  Tabs,
  Tooltip,
} from "@mantine/core";

const tide: MantineColorsTuple = [
  "#e8fbf7",
  "#cdf5ec",
  "#9eebdb",
  "#66dec7",
  "#38cbb2",
  "#1cb39b",
  "#12907e",
  "#0f766a",
  "#0d5e55",
  "#0a4a44",
];

const dark: MantineColorsTuple = [
  "#d6e0e4",
  "#b6c4cb",
  "#95a7b0",
  "#758993",
  "#25333b",
  "#1b272e",
  "#131c22",
  "#0c1317",
  "#090e12",
  "#06090c",
];

/** The tone of ours that stands for a colour of an alert. */
const tones: Record<string, string> = { red: "bad", yellow: "warn", teal: "accent" };

export const theme = createTheme({
  primaryColor: "tide",
  primaryShade: 7,
  colors: { tide, dark },
  fontFamily: '"Inter Variable", system-ui, -apple-system, "Segoe UI", sans-serif',
  fontFamilyMonospace: '"JetBrains Mono Variable", ui-monospace, "SF Mono", Menlo, Consolas, monospace',
  headings: {
    fontWeight: "620",
    sizes: {
      h1: { fontSize: "1.375rem", lineHeight: "1.3" },
      h2: { fontSize: "0.9375rem", lineHeight: "1.4" },
      h3: { fontSize: "0.875rem", lineHeight: "1.4" },
    },
  },
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.125rem" },
  defaultRadius: "sm",
  respectReducedMotion: true,
  radius: { xs: "3px", sm: "5px", md: "8px", lg: "12px", xl: "20px" },
  cursorType: "pointer",
  components: {
    Button: Button.extend({ defaultProps: { size: "sm" }, styles: { label: { fontWeight: 550 } } }),
    ActionIcon: ActionIcon.extend({ defaultProps: { variant: "subtle", color: "gray" } }),
    Input: Input.extend({ defaultProps: { size: "sm" } }),
    Badge: Badge.extend({ defaultProps: { radius: "sm", variant: "light" } }),
    Paper: Paper.extend({ defaultProps: { radius: "md" } }),
    Alert: Alert.extend({
      defaultProps: { radius: "md", variant: "light" },
      vars: (_theme, { color }) => {
        const tone = tones[color ?? ""] ?? "quiet";
        return {
          root: {
            "--alert-bg": `var(--${tone}-soft)`,
            "--alert-color": `var(--${tone})`,
            "--alert-bd": `1px solid color-mix(in srgb, var(--${tone}) 28%, transparent)`,
          },
        };
      },
    }),
    Switch: Switch.extend({ defaultProps: { withThumbIndicator: false } }),
    Tabs: Tabs.extend({ defaultProps: { keepMounted: false } }),
    Tooltip: Tooltip.extend({
      defaultProps: { openDelay: 250, withArrow: true, events: { hover: true, focus: true, touch: true } },
    }),
  },
});

/** Text colours that reach contrast AA on every surface used here. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#ffffff",
    "--mantine-color-text": "#16232a",
    "--mantine-color-dimmed": "#53646d",
    "--mantine-color-placeholder": "#66757d",
    "--mantine-color-anchor": "#0d6b60",
    "--mantine-color-error": "#b42318",
    "--page": "#f5f8f8",
    "--panel": "#ffffff",
    "--sunken": "#f1f5f5",
    "--line": "#dde5e7",
    "--line-strong": "#c6d2d5",
    "--hover": "#eef4f4",
    "--accent": "#0d6b60",
    "--accent-soft": "#dcf3ee",
    "--good": "#0f766a",
    "--warn": "#8a5a00",
    "--warn-soft": "#fdf1d3",
    "--bad": "#b42318",
    "--bad-soft": "#fdeae8",
    "--quiet": "#53646d",
    "--quiet-soft": "#e9eff0",
    "--info": "#24569e",
    "--info-soft": "#e5eefb",
  },
  dark: {
    "--mantine-color-body": "#0c1317",
    "--mantine-color-text": "#d6e0e4",
    "--mantine-color-dimmed": "#95a7b0",
    "--mantine-color-placeholder": "#7f929c",
    "--mantine-color-anchor": "#52d6be",
    "--mantine-color-error": "#ff8f85",
    "--page": "#0a1013",
    "--panel": "#0f171c",
    "--sunken": "#0b1216",
    "--line": "#1d2a31",
    "--line-strong": "#2d3e47",
    "--hover": "#141f25",
    "--accent": "#52d6be",
    "--accent-soft": "#0f2f2c",
    "--good": "#4fd3bb",
    "--warn": "#f2c14e",
    "--warn-soft": "#33280d",
    "--bad": "#ff8f85",
    "--bad-soft": "#3a1917",
    "--quiet": "#95a7b0",
    "--quiet-soft": "#1a252b",
    "--info": "#8bb8f8",
    "--info-soft": "#14263f",
  },
});
